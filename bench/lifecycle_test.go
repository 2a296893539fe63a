package bench_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxlifecycle"
)

// noopService has the two hooks that most objects have.
type noopService struct{ opened, closed int }

func (s *noopService) Init(context.Context) error    { s.opened++; return nil }
func (s *noopService) Destroy(context.Context) error { s.closed++; return nil }

// tie gives a service to the lifecycle.
type tie func(fx.Lifecycle, *noopService) error

func byHook(lc fx.Lifecycle, s *noopService) error {
	lc.Append(fx.Hook{OnStart: s.Init, OnStop: s.Destroy})
	return nil
}

func byManage(lc fx.Lifecycle, s *noopService) error {
	_, err := fxlifecycle.Manage(lc, s)
	return err
}

func noCoordinator() fx.Option { return fx.Options() }
func coordinator() fx.Option   { return fxlifecycle.Coordinate() }

// application has n services.
func application(b *testing.B, n int, mode fx.Option, tie tie) *fx.App {
	app := fx.New(fx.NopLogger, mode, fx.Invoke(func(lc fx.Lifecycle) error {
		for range n {
			if err := tie(lc, &noopService{}); err != nil {
				return err
			}
		}
		return nil
	}))
	if err := app.Err(); err != nil {
		b.Fatal(err)
	}
	return app
}

// cpuTime is what the process has used so far: on a machine that does other things at the same time, a better measure than the clock.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var lifecycleCases = []struct {
	name string
	mode func() fx.Option
	tie  tie
}{
	{"Fx/hook", noCoordinator, byHook},
	{"coordinated/hook", coordinator, byHook},
	{"coordinated/managed", coordinator, byManage},
}

// BenchmarkLifecycle is New, Start and Stop of an application (L14: the difference of the two coordinated ones).
func BenchmarkLifecycle(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		for _, c := range lifecycleCases {
			b.Run(fmt.Sprintf("n=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				used := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-used)/float64(b.N), "cpu-ns/op") }()
				for b.Loop() {
					app := application(b, n, c.mode(), c.tie)
					if err := app.Start(context.Background()); err != nil {
						b.Fatal(err)
					}
					if err := app.Stop(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLifecycleStop is the stop of an application with 1,000 hooks alone.
func BenchmarkLifecycleStop(b *testing.B) {
	for _, c := range lifecycleCases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				app := application(b, 1000, c.mode(), c.tie)
				if err := app.Start(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := app.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
