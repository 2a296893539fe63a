package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samber/do/v2"
	"go.uber.org/fx"
	"gopkg.in/yaml.v3"

	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxfactory"
)

type benchClient struct {
	name string
	cfg  benchConfig
}

type benchConfig struct {
	BaseURL string        `yaml:"baseURL"`
	Timeout time.Duration `yaml:"timeout"`
	Retries int           `yaml:"retries"`
	Token   string        `yaml:"token"`
}

func benchSpec() fxfactory.Spec[*benchClient, benchConfig] {
	return fxfactory.Spec[*benchClient, benchConfig]{
		Create: func(_ context.Context, name string, cfg benchConfig) (*benchClient, error) {
			return &benchClient{name, cfg}, nil
		},
	}
}

func benchNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("client-%05d", i)
	}
	return names
}

func newBenchFactory(tb testing.TB, names []string) *fxfactory.Factory[*benchClient, benchConfig] {
	tb.Helper()
	clients := make(map[string]func(*benchConfig), len(names))
	for _, name := range names {
		clients[name] = nil
	}
	f, err := fxfactory.New(context.Background(), "bench", benchSpec(), fxfactory.Settings[benchConfig]{Clients: clients},
		fxfactory.RetireAfter(0))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// A registry looks instances up by name. add and remove are what churns it; nil where it cannot.
type registry struct {
	name string
	make func(tb testing.TB, names []string) (get func(string) *benchClient, add, remove func(string))
}

func benchMap(names []string) map[string]*benchClient {
	m := make(map[string]*benchClient, len(names))
	for _, name := range names {
		m[name] = &benchClient{name: name}
	}
	return m
}

var registries = []registry{
	{"map", func(_ testing.TB, names []string) (func(string) *benchClient, func(string), func(string)) {
		m := benchMap(names)
		return func(name string) *benchClient { return m[name] }, nil, nil
	}},
	{"fxfactory", func(tb testing.TB, names []string) (func(string) *benchClient, func(string), func(string)) {
		f, ctx := newBenchFactory(tb, names), context.Background()
		get := func(name string) *benchClient { c, _ := f.Get(name); return c }
		add := func(name string) { _, _ = f.Create(ctx, name, nil) }
		return get, add, func(name string) { _ = f.Remove(ctx, name) }
	}},
	{"sync.Map", func(_ testing.TB, names []string) (func(string) *benchClient, func(string), func(string)) {
		var m sync.Map
		for name, c := range benchMap(names) {
			m.Store(name, c)
		}
		get := func(name string) *benchClient {
			if v, ok := m.Load(name); ok {
				return v.(*benchClient)
			}
			return nil
		}
		return get, func(name string) { m.Store(name, &benchClient{name: name}) }, func(name string) { m.Delete(name) }
	}},
	{"RWMutex", func(_ testing.TB, names []string) (func(string) *benchClient, func(string), func(string)) {
		var mu sync.RWMutex
		m := benchMap(names)
		get := func(name string) *benchClient {
			mu.RLock()
			defer mu.RUnlock()
			return m[name]
		}
		add := func(name string) {
			mu.Lock()
			defer mu.Unlock()
			m[name] = &benchClient{name: name}
		}
		return get, add, func(name string) {
			mu.Lock()
			defer mu.Unlock()
			delete(m, name)
		}
	}},
	{"samber-do", func(tb testing.TB, names []string) (func(string) *benchClient, func(string), func(string)) {
		injector := do.New()
		add := func(name string) { do.ProvideNamedValue(injector, name, &benchClient{name: name}) }
		for _, name := range names {
			add(name)
		}
		tb.Cleanup(func() { injector.Shutdown() })
		get := func(name string) *benchClient { c, _ := do.InvokeNamed[*benchClient](injector, name); return c }
		return get, nil, nil // removing a service is a shutdown of it, and errors where it is absent: no fair churn
	}},
}

// lookupOrder is more lookups than a processor caches guesses for, in an order of its own, with names that share no memory with the keys:
// as a name that comes with a request.
func lookupOrder(names []string) []string {
	order := make([]string, 1<<14)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range order {
		order[i] = string([]byte(names[random.IntN(len(names))]))
	}
	return order
}

// BenchmarkFactoryGet is one lookup by name among so many instances (F16: at most 2.5 times a map, at 10,000).
func BenchmarkFactoryGet(b *testing.B) {
	for _, n := range []int{1, 10, 1000, 10000} {
		names := benchNames(n)
		order := lookupOrder(names)
		for _, r := range registries {
			b.Run(fmt.Sprintf("%d/%s", n, r.name), func(b *testing.B) {
				get, _, _ := r.make(b, names)
				b.ReportAllocs()
				var none int
				for i := 0; b.Loop(); i++ {
					if get(order[i&(len(order)-1)]) == nil {
						none++
					}
				}
				if none > 0 {
					b.Fatal("not found:", none)
				}
			})
		}
	}
}

// BenchmarkFactoryGetParallel is the same from all cores, quiet and while another goroutine adds and removes other names.
func BenchmarkFactoryGetParallel(b *testing.B) {
	for _, n := range []int{1, 10, 1000, 10000} {
		names := benchNames(n)
		order := lookupOrder(names)
		for _, churn := range []bool{false, true} {
			for _, r := range registries {
				kind := "quiet"
				if churn {
					kind = "churn"
				}
				b.Run(fmt.Sprintf("%d/%s/%s", n, kind, r.name), func(b *testing.B) {
					get, add, remove := r.make(b, names)
					if churn && add == nil {
						b.Skip("cannot change while it is read")
					}
					b.ReportAllocs()
					end := func() int64 { return 0 }
					if churn {
						end = churning(add, remove)
					}
					var none, seed atomic.Int64
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						for i := int(seed.Add(1000)); pb.Next(); i++ {
							if get(order[i&(len(order)-1)]) == nil {
								none.Add(1)
							}
						}
					})
					b.StopTimer()
					if changes := end(); churn {
						b.ReportMetric(float64(changes)/b.Elapsed().Seconds(), "changes/s")
					}
					if none.Load() > 0 {
						b.Fatal("not found:", none.Load())
					}
				})
			}
		}
	}
}

// churning adds and removes names, a thousand times a second, until it is ended; then it tells how often.
func churning(add, remove func(string)) (end func() int64) {
	stop, done := make(chan struct{}), make(chan struct{})
	var changes int64
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				name := "extra-" + strconv.Itoa(i%100)
				add(name)
				remove(name)
				changes += 2
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-done
		return changes
	}
}

// benchYAML is a section of n instances.
func benchYAML(n int) string {
	var b bytes.Buffer
	b.WriteString("bench:\n  default: {timeout: 3s, retries: 3}\n  clients:\n")
	for _, name := range benchNames(n) {
		fmt.Fprintf(&b, "    %s:\n      baseURL: http://%s.example.com:8080/api\n      timeout: 10s\n      token: secret-of-%s\n", name, name, name)
	}
	return b.String()
}

// BenchmarkFactoryYAML is 10,000 instances from a file: what yaml.v3 takes to parse it into a Node, and to decode it into a map of
// structs too, beside fxconfig alone, a factory on top of it, and the whole application under Fx (F16: at most 3.5 times the Node).
func BenchmarkFactoryYAML(b *testing.B) {
	const n = 10000
	text := benchYAML(n)
	load := func(b *testing.B) *fxconfig.Config {
		cfg, err := fxconfig.Load(fxconfig.Text("config.yaml", text))
		if err != nil {
			b.Fatal(err)
		}
		return cfg
	}
	app := func(b *testing.B, config fx.Option) {
		var f *fxfactory.Factory[*benchClient, benchConfig]
		app := fx.New(fx.NopLogger, config,
			fxfactory.Module[*benchClient, benchConfig]("bench", benchSpec), fx.Populate(&f))
		if err := app.Err(); err != nil {
			b.Fatal(err)
		}
		if err := app.Start(context.Background()); err != nil || f.Len() != n {
			b.Fatal(err, f.Len())
		}
		b.StopTimer()
		if err := app.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for _, way := range []struct {
		name string
		run  func(b *testing.B)
	}{
		{"yaml.v3 Node", func(b *testing.B) {
			var node yaml.Node
			if err := yaml.Unmarshal([]byte(text), &node); err != nil {
				b.Fatal(err)
			}
		}},
		{"yaml.v3 decoded", func(b *testing.B) {
			var file struct {
				Bench struct {
					Default benchConfig            `yaml:"default"`
					Clients map[string]benchConfig `yaml:"clients"`
				} `yaml:"bench"`
			}
			if err := yaml.Unmarshal([]byte(text), &file); err != nil || len(file.Bench.Clients) != n {
				b.Fatal(err)
			}
		}},
		{"fxconfig.Load", func(b *testing.B) { load(b) }},
		{"application started", func(b *testing.B) { app(b, fxconfig.From(fxconfig.Text("config.yaml", text))) }},
		{"application started, config loaded before", func(b *testing.B) {
			b.StopTimer()
			cfg := load(b)
			b.StartTimer()
			app(b, fx.Supply(cfg))
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				way.run(b)
			}
		})
	}
}

// BenchmarkFactoryStart100 is the start of a hundred clients that need 50 ms each (F16: one twentieth of the sequential five seconds).
func BenchmarkFactoryStart100(b *testing.B) {
	spec := benchSpec()
	spec.Start = func(context.Context, string, *benchClient) error { time.Sleep(50 * time.Millisecond); return nil }
	clients := map[string]func(*benchConfig){}
	for _, name := range benchNames(100) {
		clients[name] = nil
	}
	ctx := context.Background()
	for range b.N {
		f, err := fxfactory.New(ctx, "bench", spec, fxfactory.Settings[benchConfig]{Clients: clients})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Start(ctx); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := f.Stop(ctx); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkFactoryMemory is what an instance costs beside the client itself, which is the same in each.
func BenchmarkFactoryMemory(b *testing.B) {
	names := benchNames(10000)
	for _, r := range registries {
		b.Run(r.name, func(b *testing.B) {
			var total int64
			for range b.N {
				before := heapInUse()
				get, _, _ := r.make(b, names)
				total += heapInUse() - before
				runtime.KeepAlive(get)
			}
			b.ReportMetric(float64(total)/float64(b.N)/float64(len(names)), "B/instance")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFactoryChurn is a Create and a Remove among so many instances, beside copying the whole map for each change.
func BenchmarkFactoryChurn(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		names := benchNames(n)
		b.Run(fmt.Sprintf("%d/fxfactory", n), func(b *testing.B) {
			f, ctx := newBenchFactory(b, names), context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				name := "extra-" + strconv.Itoa(i)
				if _, err := f.Create(ctx, name, nil); err != nil {
					b.Fatal(err)
				}
				if err := f.Remove(ctx, name); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/copy of a map", n), func(b *testing.B) {
			var current atomic.Pointer[map[string]*benchClient]
			m := benchMap(names)
			current.Store(&m)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				name := "extra-" + strconv.Itoa(i)
				added := maps.Clone(*current.Load())
				added[name] = &benchClient{name: name}
				current.Store(&added)
				removed := maps.Clone(added)
				delete(removed, name)
				current.Store(&removed)
			}
		})
	}
}
