package fxlifecycle_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/fxkit/fxkit/fxlifecycle"
)

type store struct{ name string }

type base struct {
	Shared *store `inject:""`
}

type ledger struct {
	base
	Store  *store        `inject:""`
	Audit  *store        `inject:"" name:"the audit"`
	Rules  []string      `inject:"" group:"rules" json:"rules"`
	Absent io.Reader     `inject:"" optional:"true"`
	Other  *store        // stays nil
	Steps  *steps        `inject:""`
	Cycle  fx.Lifecycle  `inject:""`
	Hidden fx.Shutdowner `json:"-"`
	hidden int
}

func (l *ledger) PostConstruct(context.Context) error {
	l.hidden = 1
	if l.Store != nil || l.Steps != nil {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (l *ledger) PreInject(context.Context) error {
	l.hidden *= 10
	if l.Store != nil {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (l *ledger) PostInject(context.Context) error {
	l.Steps.add("PostInject " + l.Store.name)
	return nil
}
func (l *ledger) Init(context.Context) error    { l.Steps.add("Init"); return nil }
func (l *ledger) Destroy(context.Context) error { l.Steps.add("Destroy"); return nil }

func TestL13_object_fills_tagged_fields_between_its_hooks(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		var got *ledger
		app := fxtest.New(t, mode,
			fx.Supply(s, &store{"main"}, fx.Annotated{Name: "the audit", Target: &store{"audit"}}),
			fx.Provide(
				fx.Annotated{Group: "rules", Target: func() string { return "no debts" }},
				fxlifecycle.Object[ledger](),
			),
			fx.Populate(&got),
		)
		assert.Equal(t, []string{"PostInject main"}, s.list())
		assert.Equal(t, "main", got.Shared.name, "promoted from an embedded struct")
		assert.Equal(t, "audit", got.Audit.name)
		assert.Equal(t, []string{"no debts"}, got.Rules)
		assert.NotNil(t, got.Cycle)
		assert.Nil(t, got.Absent)
		assert.Nil(t, got.Other)
		assert.Nil(t, got.Hidden)
		assert.Equal(t, 10, got.hidden, "PostConstruct ran before PreInject")
		app.RequireStart().RequireStop()
		assert.Equal(t, []string{"PostInject main", "Init", "Destroy"}, s.list())
	})
}

func TestL13_one_object_option_serves_several_applications(t *testing.T) {
	t.Parallel()
	type plain struct {
		Store *store `inject:""`
	}
	option := fx.Provide(fxlifecycle.Object[plain](fxlifecycle.WithName("p")))
	for _, name := range []string{"one", "two"} {
		var got *plain
		require.NoError(t, fx.New(fx.NopLogger, option, fx.Supply(&store{name}), fx.Populate(&got)).Err())
		assert.Equal(t, name, got.Store.name)
	}
}

func TestL13_an_object_may_be_annotated(t *testing.T) {
	t.Parallel()
	var got fmt.Stringer
	app := fxtest.New(t, fxlifecycle.Coordinate(),
		fx.Provide(fx.Annotate(fxlifecycle.Object[title](), fx.As(new(fmt.Stringer)), fx.ResultTags(`name:"title"`))),
		fx.Supply("Debts"),
		fx.Invoke(fx.Annotate(func(s fmt.Stringer) { got = s }, fx.ParamTags(`name:"title"`))),
	)
	app.RequireStart().RequireStop()
	assert.Equal(t, "Debts", got.String())
}

type title struct {
	Text string `inject:""`
}

func (t *title) String() string { return t.Text }

func TestL13_object_refuses_what_cannot_work(t *testing.T) {
	t.Parallel()
	type unexported struct {
		store *store `inject:""`
	}
	type misspelt struct {
		Store *store `inject:"" nmae:"audit"`
		Other *store `inject:"" Optional:"true"`
		Rules []int  `inject:"" gruop:"rules"`
	}
	type misspeltInject struct {
		Store *store `injcet:""`
	}
	type valued struct {
		Store *store `inject:"audit"`
	}
	type notBool struct {
		Store *store `inject:"" optional:"yes"`
	}
	type both struct {
		Store []*store `inject:"" name:"a" group:"b"`
	}
	type throughPointer struct{ *base }
	type noSlice struct {
		Rules string `inject:"" group:"rules"`
	}
	type optionalGroup struct {
		Rules []string `inject:"" group:"rules" optional:"true"`
	}
	_ = unexported{store: nil}
	for name, tt := range map[string]struct {
		object any
		want   []string
	}{
		"an unexported field":         {fxlifecycle.Object[unexported](), []string{"fxlifecycle: object fxlifecycle_test.unexported: field store: it is unexported"}},
		"misspelt tags, all of them":  {fxlifecycle.Object[misspelt](), []string{`field Store: unknown tag "nmae" (did you mean "name"?)`, `field Other: unknown tag "Optional" (did you mean "optional"?)`, `field Rules: unknown tag "gruop" (did you mean "group"?)`}},
		"a misspelt inject":           {fxlifecycle.Object[misspeltInject](), []string{`field Store: unknown tag "injcet" (did you mean "inject"?)`}},
		"a value in inject":           {fxlifecycle.Object[valued](), []string{"field Store: `inject:\"audit\"`: the tag takes no value"}},
		"an optional that is no bool": {fxlifecycle.Object[notBool](), []string{"field Store: `optional:\"yes\"`: it is \"true\" or \"false\""}},
		"a name and a group":          {fxlifecycle.Object[both](), []string{"field Store: it has a name and a group"}},
		"an embedded pointer":         {fxlifecycle.Object[throughPointer](), []string{"field base.Shared: it is promoted from an embedded pointer"}},
		"no struct":                   {fxlifecycle.Object[string](), []string{"fxlifecycle: object string: it is a string; Object needs a struct"}},
		"a pointer":                   {fxlifecycle.Object[*store](), []string{"object *fxlifecycle_test.store: it is a ptr"}},
		"a group that is no slice":    {fxlifecycle.Object[noSlice](), []string{`"Rules"`}},
		"an optional group":           {fxlifecycle.Object[optionalGroup](), []string{`"Rules"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Nobody asks for the object, and fx.New fails all the same.
			err := fx.New(fx.NopLogger, fx.Provide(tt.object)).Err()
			require.Error(t, err)
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestL13_an_object_that_fails_is_destroyed(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode fx.Option) {
		s := &steps{}
		app := fx.New(fx.NopLogger, mode, fx.Provide(fxlifecycle.Object[injected]()), fx.Supply(s), fx.Invoke(func(*injected) {}))
		require.ErrorIs(t, app.Err(), io.EOF)
		assert.ErrorContains(t, app.Err(), `fxlifecycle: PostInject "*fxlifecycle_test.injected": EOF`)
		assert.Equal(t, []string{"Destroy"}, s.list())
	})
}

type injected struct {
	Steps *steps `inject:""`
}

func (*injected) PostInject(context.Context) error { return io.EOF }
func (i *injected) Destroy(context.Context) error  { i.Steps.add("Destroy"); return nil }
