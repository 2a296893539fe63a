package bench_test

import (
	"fmt"
	"testing"

	"github.com/fxkit/fxkit/fxqualifier"
)

type handler interface{ Handle() int }

type numbered int

func (n numbered) Handle() int { return int(n) }

type topic string

// Q9: Get by one qualifier over 1,000 members, beside a read of a Go map with the same keys and values.
func BenchmarkQualifier(b *testing.B) {
	const members = 1000
	byTopic := fxqualifier.NewAttribute[topic]("topic")
	byShard := fxqualifier.NewAttribute[int]("shard")
	keys := make([]topic, members)
	texts, numbers := make(map[topic]handler, members), make(map[int]handler, members)
	var list []fxqualifier.Member[handler]
	for i := range members {
		keys[i] = topic(fmt.Sprintf("orders.created.%04d", i))
		texts[keys[i]], numbers[i] = numbered(i), numbered(i)
		list = append(list, fxqualifier.Member[handler]{
			Qualifiers: []fxqualifier.Qualifier{byTopic.Of(keys[i]), byShard.Of(i)}, Value: numbered(i),
		})
	}
	set, err := fxqualifier.NewSet(list...)
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()

	b.Run("text/map", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if h, ok := texts[keys[i%members]]; !ok || h == nil {
				b.Fatal("not found")
			}
		}
	})
	b.Run("text/get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := set.Get(ctx, byTopic.Of(keys[i%members])); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("number/map", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if h, ok := numbers[i%members]; !ok || h == nil {
				b.Fatal("not found")
			}
		}
	})
	b.Run("number/get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := set.Get(ctx, byShard.Of(i%members)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
