package fxqualifier

import (
	"reflect"
	"strconv"
	"unique"
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
type Attribute[V Scalar] struct {
	id   unique.Handle[attributeID]
	kind reflect.Kind
}

// An attributeID is the identity of an attribute. Its handle makes comparing attributes one comparison of pointers.
type attributeID struct {
	name string
	typ  reflect.Type // of the values; tells Of(1) from Of("1")
}

// NewAttribute returns the attribute of a name. An attribute without a name is refused where it is used.
func NewAttribute[V Scalar](name string) Attribute[V] {
	typ := reflect.TypeFor[V]()
	return Attribute[V]{unique.Make(attributeID{name, typ}), typ.Kind()}
}

// Of is the qualifier that has value in this attribute.
func (a Attribute[V]) Of(value V) Qualifier {
	switch v := reflect.ValueOf(value); a.kind {
	case reflect.String:
		return Qualifier{attribute: a.id, text: v.String()}
	case reflect.Bool:
		if v.Bool() {
			return Qualifier{attribute: a.id, bits: 1}
		}
		return Qualifier{attribute: a.id}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Qualifier{attribute: a.id, bits: uint64(v.Int())}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Qualifier{attribute: a.id, bits: v.Uint()}
	default: // the zero Attribute
		return Qualifier{}
	}
}

// In returns the value that a member with these qualifiers has in this attribute, for programs that list what there
// is: the channels of a Set's Members, for example.
func (a Attribute[V]) In(qs ...Qualifier) (value V, ok bool) {
	for _, q := range qs {
		if q.attribute != a.id || q == (Qualifier{}) {
			continue
		}
		switch v := reflect.ValueOf(&value).Elem(); a.kind {
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
	attribute unique.Handle[attributeID]

	// The value is in one of these, according to its kind. In an interface it would cost an allocation per lookup.
	text string
	bits uint64
}

// String is Name(q).
func (q Qualifier) String() string { return Name(q) }

// id is the identity of the attribute, and that of none for the zero Qualifier.
func (q Qualifier) id() attributeID {
	if q.attribute == (unique.Handle[attributeID]{}) {
		return attributeID{}
	}
	return q.attribute.Value()
}

// value is the value as text.
func (q Qualifier) value() string {
	typ := q.id().typ
	if typ == nil {
		return ""
	}
	switch typ.Kind() {
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
