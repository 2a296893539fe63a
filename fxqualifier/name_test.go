package fxqualifier_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"pgregory.net/rapid"

	"github.com/fxkit/fxkit/fxqualifier"
)

// Q4
func TestQ4_Name_is_attribute_and_value_sorted_by_attribute_and_escaped(t *testing.T) {
	t.Parallel()
	text := func(attribute, value string) fxqualifier.Qualifier {
		return fxqualifier.NewAttribute[string](attribute).Of(value)
	}
	for _, tt := range []struct {
		name string
		qs   []fxqualifier.Qualifier
		want string
	}{
		{"none is the empty name, which for Fx is none", nil, ""},
		{"one", []fxqualifier.Qualifier{text("log_path", "foo")}, "log_path=foo"},
		{"several are sorted by attribute", []fxqualifier.Qualifier{text("b", "1"), text("a", "2"), text("c", "0")}, "a=2,b=1,c=0"},
		{"an empty value", []fxqualifier.Qualifier{text("a", "")}, "a="},
		{"a path", []fxqualifier.Qualifier{text("log_path", "/var/log/my app-1.log")}, "log_path=/var/log/my app-1.log"},
		{"any language", []fxqualifier.Qualifier{text("имя", "日本 é")}, "имя=日本 é"},
		{"a comma", []fxqualifier.Qualifier{text("a", "1,b=2")}, "a=1%2Cb=2"},
		{"an equals sign in the attribute", []fxqualifier.Qualifier{text("a=b", "c")}, "a%3Db=c"},
		{"an equals sign in the value", []fxqualifier.Qualifier{text("a", "b=c")}, "a=b=c"},
		{"a percent sign", []fxqualifier.Qualifier{text("a", "100%2C")}, "a=100%252C"},
		{"quotes and backslash", []fxqualifier.Qualifier{text("a", "\"`\\'")}, "a=%22%60%5C'"},
		{"control characters and other spaces", []fxqualifier.Qualifier{text("a", "\n\x00\u00a0")}, "a=%0A%00%C2%A0"},
		{"what is no UTF-8", []fxqualifier.Qualifier{text("a", "x\xff\xc3")}, "a=x%FF%C3"},
		{"bool", []fxqualifier.Qualifier{fxqualifier.NewAttribute[bool]("on").Of(true), fxqualifier.NewAttribute[bool]("off").Of(false)}, "off=false,on=true"},
		{"a negative number", []fxqualifier.Qualifier{fxqualifier.NewAttribute[int64]("n").Of(math.MinInt64)}, "n=-9223372036854775808"},
		{"a large number", []fxqualifier.Qualifier{fxqualifier.NewAttribute[uint64]("n").Of(math.MaxUint64)}, "n=18446744073709551615"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, fxqualifier.Name(tt.qs...))
			assert.Equal(t, `name:"`+tt.want+`"`, fxqualifier.Tag(tt.qs...), "the escaped name needs no quoting of its own")
			assert.Equal(t, tt.want, reflect.StructTag(fxqualifier.Tag(tt.qs...)).Get("name"))
		})
	}
}

// Q4
func TestQ4_Name_leaves_the_qualifiers_as_they_were_listed(t *testing.T) {
	t.Parallel()
	qs := []fxqualifier.Qualifier{Shard.Of(1), Kind.Of("a")}
	before := slices.Clone(qs)
	assert.Equal(t, "kind=a,shard=1", fxqualifier.Name(qs...))
	assert.Equal(t, before, qs)
}

// qualifiers are any of text attributes with different names, awkward characters preferred.
func qualifiers(t *rapid.T, label string) []fxqualifier.Qualifier {
	awkward := rapid.StringOf(rapid.RuneFrom([]rune("ab=,%\"`\\ \n1é2C\ufffd")))
	text := rapid.OneOf(awkward, rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	attributes := rapid.SliceOfNDistinct(text.Filter(func(s string) bool { return s != "" }), 0, 3, rapid.ID[string]).Draw(t, label)
	var qs []fxqualifier.Qualifier
	for _, a := range attributes {
		qs = append(qs, fxqualifier.NewAttribute[string](a).Of(text.Draw(t, "value")))
	}
	return qs
}

// Q4
func TestQ4_Name_is_injective_and_does_not_depend_on_order(t *testing.T) {
	t.Parallel()
	set := func(qs []fxqualifier.Qualifier) map[fxqualifier.Qualifier]bool {
		m := make(map[fxqualifier.Qualifier]bool)
		for _, q := range qs {
			m[q] = true
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := qualifiers(t, "a"), qualifiers(t, "b")
		if rapid.Bool().Draw(t, "permute") {
			b = rapid.Permutation(a).Draw(t, "permuted")
		}
		same := reflect.DeepEqual(set(a), set(b))
		if (fxqualifier.Name(a...) == fxqualifier.Name(b...)) != same {
			t.Fatalf("%q and %q: names %q and %q", a, b, fxqualifier.Name(a...), fxqualifier.Name(b...))
		}
		if strings.ContainsAny(fxqualifier.Name(a...), "\"`\\\n") {
			t.Fatalf("%q cannot be written in a struct tag as it is", fxqualifier.Name(a...))
		}
	})
}

// Q4: any text goes through Fx, by Tag and by a struct tag written by hand.
func TestQ4_every_value_is_one_that_Fx_takes(t *testing.T) {
	t.Parallel()
	values := []string{"", " ", "a,b", `"`, "`", `\`, "a=b", "%", "日本", "\x00\xff", "a b\n", "name:\"x\" optional:\"true\""}
	options := []fx.Option{fxqualifier.Collect[Hello]()}
	for i, v := range values {
		options = append(options,
			fxqualifier.Provide[Hello](constant(fmt.Sprint(i)), Kind.Of(v)),
			fx.Invoke(fx.Annotate(func(h Hello) { assert.Equal(t, fmt.Sprint(i), h.Hello()) }, fx.ParamTags(fxqualifier.Tag(Kind.Of(v))))),
		)
	}
	var set *fxqualifier.Set[Hello]
	options = append(options, fx.Populate(&set), fx.Invoke(func(in struct {
		fx.In
		Escaped   Hello `name:"kind=a%2Cb"`
		Backquote Hello `name:"kind=%60"`
		Unicode   Hello `name:"kind=日本"`
		Tag       Hello `name:"kind=name:%22x%22 optional:%22true%22"`
	},
	) {
		assert.Equal(t, []string{"2", "4", "8", "11"}, []string{in.Escaped.Hello(), in.Backquote.Hello(), in.Unicode.Hello(), in.Tag.Hello()})
	}))
	require.NoError(t, build(options...))
	for i, v := range values {
		h, err := set.Get(t.Context(), Kind.Of(v))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(i), h.Hello())
	}
}

type (
	level  int8
	flag   bool
	label  string
	amount uint16
)

// Q1
func TestQ1_a_qualifier_equals_only_one_of_the_same_attribute_type_and_value(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Kind.Of("a"), fxqualifier.NewAttribute[string]("kind").Of("a"), "an attribute is its name and value type")
	different := []fxqualifier.Qualifier{
		{},
		Kind.Of("1"), Kind.Of("2"),
		fxqualifier.NewAttribute[int]("kind").Of(1),
		fxqualifier.NewAttribute[int64]("kind").Of(1),
		fxqualifier.NewAttribute[uint]("kind").Of(1),
		fxqualifier.NewAttribute[bool]("kind").Of(true),
		fxqualifier.NewAttribute[bool]("kind").Of(false),
		fxqualifier.NewAttribute[label]("kind").Of("1"),
		fxqualifier.NewAttribute[level]("kind").Of(1),
		fxqualifier.NewAttribute[flag]("kind").Of(true),
		fxqualifier.NewAttribute[string]("other").Of("1"),
	}
	seen := make(map[fxqualifier.Qualifier]int)
	for i, q := range different {
		seen[q] = i
	}
	assert.Len(t, seen, len(different))
}

func TestAttribute_In_reads_the_value_back(t *testing.T) {
	t.Parallel()
	readsBack(t, "text", "other")
	readsBack(t, label("text"), "other")
	readsBack(t, true, false)
	readsBack(t, flag(true), false)
	readsBack(t, level(-128), 127)
	readsBack(t, int64(math.MinInt64), math.MaxInt64)
	readsBack(t, amount(math.MaxUint16), 0)
	readsBack(t, uint64(math.MaxUint64), 0)
	var zero fxqualifier.Attribute[string]
	_, ok := zero.In(zero.Of("x"), fxqualifier.Qualifier{})
	assert.False(t, ok, "the zero Attribute has no values")
}

func readsBack[V fxqualifier.Scalar](t *testing.T, values ...V) {
	t.Helper()
	a := fxqualifier.NewAttribute[V]("a")
	for _, v := range values {
		got, ok := a.In(Kind.Of("x"), a.Of(v), Shard.Of(1))
		assert.True(t, ok)
		assert.Equal(t, v, got)
	}
	_, ok := a.In(Kind.Of("x"), fxqualifier.NewAttribute[V]("b").Of(values[0]))
	assert.False(t, ok)
}
