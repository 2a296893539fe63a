package fxconfig_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fxkit/fxkit/fxconfig"
)

func TestC8_durations_and_sizes_have_units(t *testing.T) {
	t.Parallel()
	var got struct {
		D    time.Duration
		P    *time.Duration
		List []time.Duration
		S    fxconfig.Size
	}
	require.NoError(t, decode("{d: 1m30s, p: 250ms, list: [1h, 0s, 0, -5s, \"3s\"], s: 4MiB}", &got))
	assert.Equal(t, 90*time.Second, got.D)
	assert.Equal(t, 250*time.Millisecond, *got.P)
	assert.Equal(t, []time.Duration{time.Hour, 0, 0, -5 * time.Second, 3 * time.Second}, got.List)
	assert.Equal(t, fxconfig.Size(4<<20), got.S)
	for _, bad := range []string{"5", "-5", "1.5", "5_000", "0x10"} {
		assert.EqualError(t, decode("d: "+bad, &got),
			fmt.Sprintf("config.yaml:1:4: d: expected a duration with its unit, such as %[1]ss or %[1]sms, found the bare number %[1]s", bad))
	}
}

func TestC8_sizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "64k": 64_000, "64K": 64_000, "64kB": 64_000, "64Ki": 65_536, "64KiB": 65_536, "4MiB": 4 << 20, "4 MiB": 4 << 20,
		"4mib": 4 << 20, "1GB": 1e9, "1G": 1e9, "1GiB": 1 << 30, "1.5GiB": 3 << 29, "0.5k": 500, "2TB": 2e12, "2TiB": 2 << 40, "3PB": 3e15, "3PiB": 3 << 50, "1EB": 1e18, "7EiB": 7 << 60,
		"9223372036854775807": math.MaxInt64,
	} {
		got, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+text), "s")
		require.NoError(t, err, text)
		assert.Equal(t, fxconfig.Size(want), got, text)
		again, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+got.String()), "s")
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again, "what it prints reads back")
	}
	for text, want := range map[string]string{
		"-1": "expected a size", "abc": "expected a size", "4XB": "expected a size", "4MM": "expected a size", "MiB": "expected a size", "''": "expected a size", "1.2.3": "expected a size", ".": "expected a size",
		"1.5": "not a whole number of bytes", "0.3k": "", "0.0001k": "not a whole number of bytes",
		"8EiB": "more than a size can be", "9223372036854775808": "more than a size can be", "1e3": "expected a size", "1/2": "expected a size",
	} {
		_, err := fxconfig.Get[fxconfig.Size](load(t, "s: "+text), "s")
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.ErrorContains(t, err, "config.yaml:1:4: s: ", text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.Equal(t, "4MiB", fxconfig.Size(4<<20).String())
	assert.Equal(t, "1000B", fxconfig.Size(1000).String())
	assert.Equal(t, "0B", fxconfig.Size(0).String())
}
