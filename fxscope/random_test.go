package fxscope_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxscope"
)

// A vertex is an object of a random graph. All are of one type, told apart by qualifiers.
type vertex struct {
	*account
	number int
	needs  []*vertex
}

// constructorOf makes a constructor of vertex i: an fx.In with a field for each of its needs, whose name: is the qualifier.
func constructorOf(i int, needs []int, make func(ctx context.Context, v *vertex) (*vertex, error)) any {
	fields := []reflect.StructField{{Name: "In", Type: reflect.TypeFor[fx.In](), Anonymous: true}}
	for _, n := range needs {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("V%d", n), Type: reflect.TypeFor[*vertex](),
			Tag: reflect.StructTag(fmt.Sprintf(`name:"kind=%d"`, n)),
		})
	}
	t := reflect.FuncOf(
		[]reflect.Type{reflect.TypeFor[context.Context](), reflect.StructOf(fields)},
		[]reflect.Type{reflect.TypeFor[*vertex](), reflect.TypeFor[error]()}, false)
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
		v := &vertex{number: i}
		for f := range needs {
			v.needs = append(v.needs, args[1].Field(f+1).Interface().(*vertex))
		}
		v, err := make(args[0].Interface().(context.Context), v)
		return []reflect.Value{reflect.ValueOf(v), reflect.ValueOf(&err).Elem()}
	}).Interface()
}

// Random graphs, with parameters, Gets at run time, constructors and hooks that fail now and then, and an End that comes while many
// goroutines still Get: whatever happens, what is built is destroyed exactly once, each object is one, and nobody waits for ever.
func TestS1_S5_S7_random_graphs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(r, "vertices")
		failEvery := rapid.Int64Range(2, 40).Draw(r, "failEvery")
		l := newLedger()
		var calls atomic.Int64
		var built [8]sync.Map // by vertex: which objects a Get gave
		var opts []fx.Option
		for i := range n {
			var needs []int
			for j := range i { // parameters go to lower numbers, so the plan has no cycle
				if rapid.IntRange(0, 2).Draw(r, "edge") == 0 {
					needs = append(needs, j)
				}
			}
			// A Get at run time may go anywhere, so it makes cycles.
			later := rapid.IntRange(-2*n, n-1).Draw(r, "later")
			opts = append(opts, fxscope.ProvideQualified[*vertex](constructorOf(i, needs, func(ctx context.Context, v *vertex) (*vertex, error) {
				call := calls.Add(1)
				if call%failEvery == 0 {
					return nil, errRefused
				}
				if later >= 0 {
					if _, err := fxscope.Get[*vertex](ctx, kind.Of(strconv.Itoa(later))); err != nil {
						return nil, err
					}
				}
				v.account = l.account(r, strconv.Itoa(i))
				if call%failEvery == 1 {
					v.account.fail, v.account.err = "Init", errRefused
				}
				return v, nil
			}), kind.Of(strconv.Itoa(i))))
		}
		var scopes *fxscope.Scopes
		app := fx.New(fx.NopLogger, fxscope.Module, fx.Options(opts...), fx.Populate(&scopes))
		require.NoError(r, app.Err())
		ctx, sc := scopes.Begin(context.Background())
		var all sync.WaitGroup
		endAt := rapid.IntRange(0, 8*n).Draw(r, "endAt")
		var got atomic.Int64
		for g := range 4 {
			order := rapid.Permutation(seq(n)).Draw(r, fmt.Sprint("order", g))
			all.Go(func() {
				for range 2 {
					for _, i := range order {
						v, err := fxscope.Get[*vertex](ctx, kind.Of(strconv.Itoa(i)))
						if err == nil {
							assert.Equal(r, i, v.number)
							built[i].Store(v, true)
						} else if !errors.Is(err, errRefused) && !errors.Is(err, fxscope.ErrEnded) {
							assert.ErrorContains(r, err, "cycle at run time")
						}
						if got.Add(1) == int64(endAt) {
							assert.NoError(r, sc.End(context.Background()))
						}
					}
				}
			})
		}
		all.Wait()
		assert.NoError(r, sc.End(context.Background()))
		for i := range built {
			objects := 0
			built[i].Range(func(any, any) bool { objects++; return true })
			assert.LessOrEqual(r, objects, 1, "vertex %d", i)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		assert.Empty(r, l.living, "built and not destroyed")
	})
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}
