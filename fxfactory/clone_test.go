package fxfactory_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxfactory"
)

type inner struct {
	List []string
	Next *inner
}

type locked struct {
	mu     sync.Mutex
	Shared []string
}

func (l *locked) lock() { l.mu.Lock() }

// rich has a field of every kind that a copy has to think about.
type rich struct {
	Map     map[string]*inner
	Slice   []map[string]int
	Array   [2][]string
	Pointer *inner
	Again   *inner // the same as Pointer
	Any     any
	Nil     *inner
	NoMap   map[string]int
	Header  http.Header // has a Clone of its own
	URL     *url.URL
	Locked  *locked
	Func    func() string
	Chan    chan int
	private []string
}

func fill(r *rich) {
	ring := &inner{List: []string{"ring"}}
	ring.Next = ring
	*r = rich{
		Map: map[string]*inner{"a": {List: []string{"a"}}}, Slice: []map[string]int{{"a": 1}}, Array: [2][]string{{"a"}, nil},
		Pointer: ring, Again: ring, Any: map[string]any{"a": []string{"a"}}, Header: http.Header{"A": {"a"}},
		URL: &url.URL{Host: "a"}, Locked: &locked{Shared: []string{"a"}}, Func: func() string { return "a" }, Chan: make(chan int),
		private: []string{"a"},
	}
}

func TestF1_Config_is_a_deep_copy(t *testing.T) {
	t.Parallel()
	f, err := fxfactory.New(t.Context(), "rich", fxfactory.Spec[*rich, rich]{
		Create: func(_ context.Context, _ string, cfg rich) (*rich, error) { return &cfg, nil },
	}, fxfactory.Settings[rich]{Clients: map[string]func(*rich){"a": fill}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
	of, err := f.Get("a")
	require.NoError(t, err)
	for _, change := range []*rich{of, nil} {
		if change == nil {
			cfg, err := f.Config("a")
			require.NoError(t, err)
			change = &cfg
		}
		change.Map["a"].List[0] = "changed"
		change.Map["b"] = nil
		change.Slice[0]["a"] = 2
		change.Array[0][0] = "changed"
		change.Pointer.List[0] = "changed"
		change.Any.(map[string]any)["a"].([]string)[0] = "changed"
		change.Header["A"][0] = "changed"
		change.URL.Host = "changed"
	}
	got, err := f.Config("a")
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, got.Map["a"].List)
	assert.Len(t, got.Map, 1)
	assert.Equal(t, []map[string]int{{"a": 1}}, got.Slice)
	assert.Equal(t, [2][]string{{"a"}, nil}, got.Array)
	assert.Equal(t, []string{"ring"}, got.Pointer.List)
	assert.Same(t, got.Pointer, got.Again, "what is shared within stays shared within")
	assert.Same(t, got.Pointer, got.Pointer.Next, "a cycle is no end")
	assert.Equal(t, map[string]any{"a": []string{"a"}}, got.Any)
	assert.Equal(t, http.Header{"A": {"a"}}, got.Header)
	assert.Equal(t, "a", got.URL.Host)
	assert.Nil(t, got.Nil)
	assert.Nil(t, got.NoMap)
	// What cannot be copied by anybody but itself is taken as it is.
	assert.Same(t, of.Locked, got.Locked)
	got.Locked.lock()
	assert.Equal(t, "a", got.Func())
	assert.Equal(t, of.Chan, got.Chan)
	assert.Equal(t, []string{"a"}, got.private)
}

type plainConfig struct {
	Name  string
	Limit int
	Inner struct{ On [3]bool }
}

func TestConfig_of_a_plain_type_costs_no_copying(t *testing.T) {
	f, err := fxfactory.New(t.Context(), "plain", fxfactory.Spec[int, plainConfig]{
		Create: func(context.Context, string, plainConfig) (int, error) { return 1, nil },
	}, fxfactory.Settings[plainConfig]{Clients: map[string]func(*plainConfig){"a": func(c *plainConfig) { c.Name = "x" }}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Stop(context.Background())) })
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		if cfg, err := f.Config("a"); err != nil || cfg.Name != "x" {
			t.Error(cfg, err)
		}
	}))
}
