package fxconfig

import (
	"fmt"
	"math/big"
	"strings"
)

// A Size is a number of bytes. It reads 512, 64k, 1GB, 4MiB, 1.5GiB: k, M, G, T, P and E are powers of 1000, Ki, Mi and so on
// powers of 1024, in any case, with or without B. It must come to a whole number that is not negative.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"eib", 1 << 60},
	{"pib", 1 << 50},
	{"tib", 1 << 40},
	{"gib", 1 << 30},
	{"mib", 1 << 20},
	{"kib", 1 << 10},
	{"ei", 1 << 60},
	{"pi", 1 << 50},
	{"ti", 1 << 40},
	{"gi", 1 << 30},
	{"mi", 1 << 20},
	{"ki", 1 << 10},
	{"eb", 1e18},
	{"pb", 1e15},
	{"tb", 1e12},
	{"gb", 1e9},
	{"mb", 1e6},
	{"kb", 1e3},
	{"e", 1e18},
	{"p", 1e15},
	{"t", 1e12},
	{"g", 1e9},
	{"m", 1e6},
	{"k", 1e3},
	{"b", 1},
}

// String is the size in the largest unit of 1024 that gives a whole number: "4MiB", "1000B". It reads back.
func (s Size) String() string {
	for _, u := range sizeUnits[:6] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return fmt.Sprintf("%d%s%sB", int64(s)/u.bytes, strings.ToUpper(u.name[:1]), u.name[1:2])
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what the type's documentation shows.
func (s *Size) UnmarshalText(text []byte) error {
	wrong := fmt.Errorf("expected a size such as 512, 64k or 4MiB, found %q", shorten(string(text)))
	number, unit := strings.ToLower(strings.TrimSpace(string(text))), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	if number == "" || len(number) > 40 || strings.Trim(number, "0123456789.") != "" {
		return wrong
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return wrong
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	if !r.IsInt() {
		return fmt.Errorf("%s is not a whole number of bytes", text)
	}
	if !r.Num().IsInt64() {
		return fmt.Errorf("%s is more than a size can be, 8 EiB less a byte", text)
	}
	*s = Size(r.Num().Int64())
	return nil
}
