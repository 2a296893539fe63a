package fxbackground_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/fxkit/fxkit/fxbackground"
	"github.com/fxkit/fxkit/fxconfig"
	"github.com/fxkit/fxkit/fxlifecycle"
	"github.com/fxkit/fxkit/internal/snippets"
)

type auditLog struct{}

func (auditLog) Write(_ context.Context, order string) error {
	fmt.Println("audited", order)
	return nil
}

type ordersConsumer struct {
	runs      int
	connected chan struct{}
}

func (c *ordersConsumer) Consume(ctx context.Context) error {
	if c.runs++; c.runs == 1 {
		return errors.New("connection lost")
	}
	fmt.Println("consuming, at the second try")
	close(c.connected)
	<-ctx.Done()
	return ctx.Err()
}

func Example() {
	audit, order := auditLog{}, "order 17"
	app := fx.New(
		fx.NopLogger,
		fxlifecycle.Coordinate(),
		fxbackground.Module,
		fx.Invoke(func(tasks *fxbackground.Runner) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel() // the request ends here
			err := tasks.Run(ctx, "audit", func(ctx context.Context) error {
				return audit.Write(ctx, order) // ctx has the request's trace and logger, and does not end with it
			})
			return err
		}),
	)
	ctx := context.Background()
	fmt.Println(errors.Join(app.Start(ctx), app.Stop(ctx)))
	// Output:
	// audited order 17
	// <nil>
}

func ExampleNew() {
	work := func(ctx context.Context) (err error) {
		tasks, err := fxbackground.New(fxbackground.Config{Timeout: 5 * time.Second, Grace: time.Second})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tasks.Drain(context.Background())) }()
		return tasks.Run(ctx, "greet", func(context.Context) error {
			fmt.Println("hello")
			return nil
		})
	}
	fmt.Println(work(context.Background()))
	// Output:
	// hello
	// <nil>
}

func ExampleRunner_Group() {
	tasks, _ := fxbackground.New(fxbackground.DefaultConfig(), fxbackground.WithLogger(zap.NewNop()))
	load := func(file string) fxbackground.Task { return func(context.Context) error { return os.ErrNotExist } }
	loadAll := func(ctx context.Context, files ...string) error {
		g := tasks.Group("import", fxbackground.WithConcurrency(4), fxbackground.WithDrainTimeout(time.Minute))
		for _, file := range files {
			if err := g.Run(ctx, file, load(file)); err != nil {
				return err
			}
		}
		return g.Drain(ctx)
	}
	err := loadAll(context.Background(), "a.csv", "b.csv", "c.csv")
	fmt.Println(tasks.Stats().Failed, "failed, as the log says;", err)
	// Output: 3 failed, as the log says; <nil>
}

func ExampleRunner_Supervise() {
	tasks, _ := fxbackground.New(fxbackground.DefaultConfig(), fxbackground.WithLogger(zap.NewNop()))
	consumer := &ordersConsumer{connected: make(chan struct{})}
	err := tasks.Supervise("orders", func(ctx context.Context) error {
		return consumer.Consume(ctx)
	})
	<-consumer.connected
	fmt.Println(err, tasks.Drain(context.Background()))
	// Output:
	// consuming, at the second try
	// <nil> <nil>
}

func ExampleWithRetry() {
	tasks, _ := fxbackground.New(fxbackground.DefaultConfig())
	tries := 0
	send := func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("try again")
		}
		fmt.Println("sent at the third try")
		return nil
	}
	ctx := context.Background()
	exponential := func() backoff.BackOff { return backoff.NewExponentialBackOff() }
	err := tasks.Run(ctx, "mail", send, fxbackground.WithRetry(exponential, 5), fxbackground.WithTimeout(10*time.Second))
	fmt.Println(err, tasks.Drain(ctx))
	// Output:
	// sent at the third try
	// <nil> <nil>
}

// The error that doc.go shows, with its places made short.
func TestDrainError_reads_as_documented(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRunner(t, fxbackground.DefaultConfig())
		run(t, r, "export", sleep(time.Hour))
		for range 2 {
			run(t, r.Group("import"), "audit", sleep(time.Hour))
		}
		err := r.Drain(t.Context())
		time.Sleep(time.Hour)
		places := strings.NewReplacer(
			`"export" (fixtures_test.go)`, `"export" (export.go:31)`,
			`"import" (fixtures_test.go)`, `"import" (audit.go:17)`)
		got := places.Replace(regexp.MustCompile(`\([^()]*/(\w+\.go):\d+\)`).ReplaceAllString(err.Error(), "($1)"))
		doc, readErr := os.ReadFile("doc.go")
		require.NoError(t, readErr)
		assert.Contains(t, string(doc), "//\t"+got+"\n")
	})
}

func TestDrainError_is_not_longer_than_a_log_can_bear(t *testing.T) {
	t.Parallel()
	err := &fxbackground.DrainError{Waited: time.Second}
	for i := range 150 {
		info := fxbackground.TaskInfo{Name: fmt.Sprint(i), Caller: "a.go:1"}
		err.Abandoned = append(err.Abandoned, info, info)
	}
	assert.Regexp(t, `^fxbackground: drain: 300 tasks left behind after 1s: 2 of "0" \(a.go:1\), .* 2 of "99" \(a.go:1\), and 100 more$`, err.Error())
	err.Abandoned = err.Abandoned[:200]
	assert.Regexp(t, `2 of "99" \(a.go:1\)$`, err.Error())
}

func TestDocumentation_shows_code_that_runs(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var sources []string
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		sources = append(sources, string(source))
	}
	var tables []string
	for _, block := range snippets.Missing("doc.go", string(doc), sources...) {
		switch {
		case strings.HasPrefix(block, "backgroundTask:"):
			// The defaults, but for the limits.
			cfg := fxbackground.Config{}
			loaded, err := fxconfig.Load(fxconfig.Text("doc.go", block))
			require.NoError(t, err)
			require.NoError(t, loaded.Decode(&cfg, fxbackground.ConfigPath))
			want := fxbackground.DefaultConfig()
			want.Concurrency, want.Queue = 100, 10000
			assert.Equal(t, want, cfg)
		case strings.HasPrefix(block, "fxbackground: drain:"): // TestDrainError_reads_as_documented
		default:
			tables = append(tables, strings.Fields(block)[0])
		}
	}
	assert.Equal(t, []string{"Run", "an"}, tables, "all the rest is code")
}
