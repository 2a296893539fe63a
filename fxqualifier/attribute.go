package fxqualifier

import (
	"reflect"
	"strconv"
)

// A Scalar is what the value of an attribute can be. A type of one's own, as `type Channel string`, keeps the values
// of different attributes apart at compile time.
type Scalar interface {
	~string | ~bool | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// An Attribute is a typed dimension of choice, usually a package variable:
//
//	var LogPath = fxqualifier.NewAttribute[string]("log_path")
//
// Two attributes of one name and value type are the same attribute. An application in which one name has two value
// types does not start.
type Attribute[V Scalar] struct{ name string }

// NewAttribute returns the attribute of a name. An attribute without a name is refused where it is used.
func NewAttribute[V Scalar](name string) Attribute[V] { return Attribute[V]{name} }

// Of is the qualifier that has value in this attribute.
func (a Attribute[V]) Of(value V) Qualifier {
	q := Qualifier{attribute: a.name, typ: reflect.TypeFor[V]()}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		q.text = v.String()
	case reflect.Bool:
		if v.Bool() {
			q.bits = 1
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		q.bits = uint64(v.Int())
	default:
		q.bits = v.Uint()
	}
	return q
}

// In returns the value that a member with these qualifiers has in this attribute, for programs that list what there
// is: the channels of a Set's Members, for example.
func (a Attribute[V]) In(qs ...Qualifier) (value V, ok bool) {
	for _, q := range qs {
		if q.attribute != a.name || q.typ != reflect.TypeFor[V]() {
			continue
		}
		switch v := reflect.ValueOf(&value).Elem(); v.Kind() {
		case reflect.String:
			v.SetString(q.text)
		case reflect.Bool:
			v.SetBool(q.bits != 0)
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			v.SetInt(int64(q.bits))
		default:
			v.SetUint(q.bits)
		}
		return value, true
	}
	return value, false
}

// A Qualifier is a value of an attribute. Qualifiers are comparable: equal are those of one attribute name, value type
// and value. The zero Qualifier has no attribute and is refused by Provide and all that is like it.
type Qualifier struct {
	attribute string
	typ       reflect.Type // of the value; tells Of(1) from Of("1")

	// The value is in one of these, according to its kind. In an interface it would cost an allocation per lookup.
	text string
	bits uint64
}

// String is Name(q).
func (q Qualifier) String() string { return Name(q) }

// value is the value as text.
func (q Qualifier) value() string {
	if q.typ == nil {
		return ""
	}
	switch q.typ.Kind() {
	case reflect.String:
		return q.text
	case reflect.Bool:
		return strconv.FormatBool(q.bits != 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(int64(q.bits), 10)
	default:
		return strconv.FormatUint(q.bits, 10)
	}
}
