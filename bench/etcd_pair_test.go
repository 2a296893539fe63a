package bench_test

import (
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// sideBySide makes a call through two clients in turns, and reports the median of each and their ratio.
func sideBySide(b *testing.B, call func(*clientv3.Client) error, first, second *clientv3.Client) {
	b.Helper()
	took := [2][]time.Duration{}
	clients := [2]*clientv3.Client{first, second}
	once := func(which int) time.Duration {
		began := time.Now()
		if err := call(clients[which]); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	for range 200 { // connections, buffers, the scheduler
		once(0)
		once(1)
	}
	turn := 0
	for b.Loop() {
		for k := range 2 {
			which := (turn + k) % 2 // each is first as often as second
			took[which] = append(took[which], once(which))
		}
		turn++
	}
	median := func(which int) float64 {
		slices.Sort(took[which])
		return float64(took[which][len(took[which])/2])
	}
	b.ReportMetric(median(0), "raw-ns")
	b.ReportMetric(median(1), "managed-ns")
	b.ReportMetric(median(1)/median(0), "managed/raw")
	b.ReportMetric(0, "ns/op") // of the pair: of no interest
}
