package fxconfig

import (
	"encoding/base64"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// scalar decodes into a type that is one value in Go as well.
func (d *decoder) scalar(n *node, v reflect.Value, p *plan) {
	switch {
	case p.special == specialDuration:
		d.duration(n, v)
	case p.kind == reflect.String:
		d.text(n, v)
	case p.kind == reflect.Bool:
		d.boolean(n, v)
	case v.CanInt():
		d.integer(n, v)
	case v.CanUint():
		d.unsigned(n, v)
	default:
		d.float(n, v)
	}
}

// text takes any scalar as it is written: a password of digits is text where text is wanted.
// It is what fills a Secret, so its problems never quote.
func (d *decoder) text(n *node, v reflect.Value) {
	switch {
	case n.kind != scalarKind:
		d.wrongKind(n, "text")
	case n.tag == binaryTag:
		if b, ok := d.binary(n); ok {
			v.SetString(string(b))
		}
	default:
		v.SetString(n.text)
	}
}

func (d *decoder) bytes(n *node, v reflect.Value) {
	b := []byte(n.text)
	if n.tag == binaryTag {
		var ok bool
		if b, ok = d.binary(n); !ok {
			return
		}
	}
	v.SetBytes(b)
}

func (d *decoder) binary(n *node) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(n.text)
	if err != nil {
		d.problem(n, "is not base64, as !!binary needs")
		return nil, false
	}
	return b, true
}

// plainType is the YAML type by which n may fill a number, a boolean or a duration: quoted text may not,
// unless the environment supplied it (C2).
func (n *node) plainType() tag {
	if n.flags&expanded != 0 {
		return n.plain
	}
	return n.tag
}

func (d *decoder) boolean(n *node, v reflect.Value) {
	if n.kind == scalarKind && (n.flags&(quoted|expanded) != quoted || n.tag == boolTag) {
		switch n.text {
		case "true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
			v.SetBool(true)
			return
		case "false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF":
			v.SetBool(false)
			return
		}
	}
	d.wrong(n, "true or false")
}

func (d *decoder) duration(n *node, v reflect.Value) {
	if n.kind != scalarKind {
		d.wrongKind(n, "a duration such as 1m30s")
		return
	}
	if t := n.plainType(); (t == intTag || t == floatTag) && n.text != "0" {
		d.problem(n, "expected a duration with its unit, such as %ss or %sms, found the bare number %[1]s", n.text, n.text)
		return
	}
	x, err := time.ParseDuration(n.text)
	if err != nil {
		d.wrong(n, "a duration such as 1m30s")
		return
	}
	v.SetInt(int64(x))
}

func (d *decoder) integer(n *node, v reflect.Value) {
	i, u, ok := d.wholeNumber(n)
	if !ok {
		return
	}
	if u > math.MaxInt64 || v.OverflowInt(i) {
		bits := v.Type().Bits()
		least := int64(-1) << (bits - 1)
		d.problem(n, "%s does not fit %s (%d to %d)", shorten(n.text), v.Type(), least, -(least + 1))
		return
	}
	v.SetInt(i)
}

func (d *decoder) unsigned(n *node, v reflect.Value) {
	i, u, ok := d.wholeNumber(n)
	if !ok {
		return
	}
	if i < 0 || v.OverflowUint(u) {
		d.problem(n, "%s does not fit %s (0 to %d)", shorten(n.text), v.Type(), uint64(math.MaxUint64)>>(64-v.Type().Bits()))
		return
	}
	v.SetUint(u)
}

// wholeNumber gives a number as u and, if it fits, as i; a negative one as i alone.
func (d *decoder) wholeNumber(n *node) (i int64, u uint64, ok bool) {
	if n.kind == scalarKind {
		switch n.plainType() {
		case intTag:
			if i, u, ok = parseWhole(n.text); ok {
				return i, u, true
			}
		case floatTag:
			// 1e6 is a whole number; 2^63 and above are beyond what a float tells apart.
			if f, ok := parseFloat(n.text); ok && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
				return int64(f), uint64(max(int64(f), 0)), true
			}
		}
	}
	d.wrong(n, "a whole number")
	return 0, 0, false
}

func parseWhole(text string) (i int64, u uint64, ok bool) {
	if strings.Contains(text, "_") {
		text = strings.ReplaceAll(text, "_", "")
	}
	i, err := strconv.ParseInt(text, 0, 64)
	if err == nil {
		return i, uint64(max(i, 0)), true
	}
	u, err = strconv.ParseUint(text, 0, 64)
	return 0, u, err == nil
}

func parseFloat(text string) (float64, bool) {
	switch strings.ToLower(text) {
	case ".nan":
		return math.NaN(), true
	case ".inf", "+.inf":
		return math.Inf(1), true
	case "-.inf":
		return math.Inf(-1), true
	}
	if strings.Contains(text, "_") {
		text = strings.ReplaceAll(text, "_", "")
	}
	if i, u, ok := parseWhole(text); ok { // !!float 010 is 8
		if u > 0 {
			return float64(u), true
		}
		return float64(i), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func (d *decoder) float(n *node, v reflect.Value) {
	f, ok := 0.0, false
	if n.kind == scalarKind {
		switch n.plainType() {
		case intTag:
			var i int64
			var u uint64
			if i, u, ok = parseWhole(n.text); ok {
				if f = float64(i); u > 0 {
					f = float64(u)
				}
			}
		case floatTag:
			f, ok = parseFloat(n.text)
		}
	}
	if !ok {
		d.wrong(n, "a number")
		return
	}
	if v.OverflowFloat(f) {
		d.problem(n, "%s does not fit %s", shorten(n.text), v.Type())
		return
	}
	v.SetFloat(f)
}

// specialStruct decodes the structs that are scalars or nodes in YAML.
func (d *decoder) specialStruct(n *node, v reflect.Value, p *plan) {
	if p.special == specialNode {
		v.Set(reflect.ValueOf(*yamlNode(n)))
		return
	}
	t, ok := parseTime(n)
	if !ok {
		d.wrong(n, "a time such as 2006-01-02T15:04:05Z")
		return
	}
	v.Set(reflect.ValueOf(t))
}

func parseTime(n *node) (t time.Time, ok bool) {
	if n.kind != scalarKind {
		return t, false
	}
	y := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: n.text}
	return t, y.Decode(&t) == nil
}

func (d *decoder) genericScalar(n *node) any {
	if d.broken(n) {
		return nil
	}
	switch n.tag {
	case nullTag:
		return nil
	case boolTag:
		switch n.text {
		case "true", "True", "TRUE":
			return true
		case "false", "False", "FALSE":
			return false
		}
	case intTag:
		if i, u, ok := parseWhole(n.text); ok {
			if u > math.MaxInt64 {
				return u
			}
			if i >= math.MinInt && i <= math.MaxInt {
				return int(i)
			}
			return i
		}
	case floatTag:
		if f, ok := parseFloat(n.text); ok {
			return f
		}
	case timeTag:
		if t, ok := parseTime(n); ok {
			return t
		}
	case binaryTag:
		b, _ := d.binary(n)
		return string(b)
	default:
		return n.text
	}
	d.problem(n, "%q is not what its tag says", shorten(n.text)) // a !!int that is none
	return nil
}

// wrong reports a value of the wrong type and quotes it; only for targets that cannot be a Secret or hold one.
func (d *decoder) wrong(n *node, want string) {
	if n.kind != scalarKind {
		d.wrongKind(n, want)
		return
	}
	if n.flags&(quoted|expanded) == quoted {
		d.problem(n, "expected %s, found the text %q", want, shorten(n.text))
		return
	}
	d.problem(n, "expected %s, found %q", want, shorten(n.text))
}

// wrongKind reports a value of the wrong kind without quoting it.
func (d *decoder) wrongKind(n *node, want string) {
	d.problem(n, "expected %s, found %s", want, n.kindName())
}

func (n *node) kindName() string {
	switch {
	case n.kind == mappingKind:
		return "a mapping"
	case n.kind == sequenceKind:
		return "a list"
	}
	switch n.tag {
	case boolTag:
		return "a boolean"
	case intTag, floatTag:
		return "a number"
	}
	return "text"
}

// shorten keeps an error readable whatever the value is.
func shorten(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(text[:most], ""), len(text))
}
