package fxqualifier

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the name under which Fx knows what was provided with these qualifiers: `attribute=value`, sorted by
// attribute and joined by commas, as in `channel=mail,region=eu`. Different qualifiers of the same value types have
// different names, the order in which they are listed does not matter, and no qualifiers are the empty name, which
// for Fx is none.
//
// Within attributes and values, these stand for themselves: letters, digits, signs, marks and symbols of any
// language, and the space. These are written as % and two hexadecimal digits in upper case, byte by byte in UTF-8:
//
//	,   separates qualifiers                      %2C
//	%   begins an escape                          %25
//	=   in an attribute, where it would end it    %3D   (in a value it stands for itself)
//	"   ends the value of a struct tag            %22
//	`   ends the struct tag                       %60
//	\   is an escape of Go within a struct tag    %5C
//	control characters, every space but the plain one, and bytes that are no UTF-8
//
// So a name goes into a struct tag as it is, without a further level of quoting:
//
//	Log *Logger `name:"log_path=/var/log/app.log"`
func Name(qs ...Qualifier) string {
	sorted := slices.Clone(qs)
	slices.SortStableFunc(sorted, func(a, b Qualifier) int { return strings.Compare(a.id().name, b.id().name) })
	var b strings.Builder
	for i, q := range sorted {
		if i > 0 {
			b.WriteByte(',')
		}
		escape(&b, q.id().name, `,%"\=`+"`")
		b.WriteByte('=')
		escape(&b, q.value(), `,%"\`+"`")
	}
	return b.String()
}

// Tag is Name as a struct tag, for fx.ParamTags and fx.ResultTags: `name:"channel=mail"`.
func Tag(qs ...Qualifier) string { return "name:" + strconv.Quote(Name(qs...)) }

func escape(b *strings.Builder, s, special string) {
	const hex = "0123456789ABCDEF"
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		invalid := r == utf8.RuneError && size == 1
		if invalid || !unicode.IsPrint(r) || strings.ContainsRune(special, r) {
			for _, c := range []byte(s[:size]) {
				b.WriteByte('%')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
}
