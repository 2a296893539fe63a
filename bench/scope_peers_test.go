package bench_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/samber/do/v2"
	"go.uber.org/dig"
)

// By hand: each object behind a sync.Once, and what was built closed in reverse if it can be.

type handScope struct{ built []any }

func (h *handScope) close() error {
	for i := len(h.built) - 1; i >= 0; i-- {
		if c, ok := h.built[i].(io.Closer); ok {
			if err := c.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func once[T any](h *handScope, o *sync.Once, at **T, make func() *T) *T {
	o.Do(func() { *at = make(); h.built = append(h.built, *at) })
	return *at
}

type handChained struct {
	handScope
	o1, o2, o3, o4, o5 sync.Once
	l1                 *sLink1
	l2                 *sLink2
	l3                 *sLink3
	l4                 *sLink4
	l5                 *sLink5
}

func (h *handChained) link1() *sLink1 {
	return once(&h.handScope, &h.o1, &h.l1, func() *sLink1 { return newLink1(h.link2()) })
}

func (h *handChained) link2() *sLink2 {
	return once(&h.handScope, &h.o2, &h.l2, func() *sLink2 { return newLink2(h.link3()) })
}

func (h *handChained) link3() *sLink3 {
	return once(&h.handScope, &h.o3, &h.l3, func() *sLink3 { return newLink3(h.link4()) })
}

func (h *handChained) link4() *sLink4 {
	return once(&h.handScope, &h.o4, &h.l4, func() *sLink4 { return newLink4(h.link5()) })
}

func (h *handChained) link5() *sLink5 { return once(&h.handScope, &h.o5, &h.l5, newLink5) }

var handSink any

func handChain() error {
	h := &handChained{}
	if h.link1() == nil {
		return io.EOF
	}
	return h.close()
}

type handKey struct{}

func handChainContext() error {
	ctx := context.WithValue(context.Background(), handKey{}, &handChained{})
	h, _ := ctx.Value(handKey{}).(*handChained)
	if h.link1() == nil {
		return io.EOF
	}
	return h.close()
}

type handFlattened struct {
	handScope
	o, oa, ob, oc, od sync.Once
	f                 *sFlat
	a                 *sFlatA
	b                 *sFlatB
	c                 *sFlatC
	d                 *sFlatD
}

func handFlat() error {
	h := &handFlattened{}
	f := once(&h.handScope, &h.o, &h.f, func() *sFlat {
		return newFlat(once(&h.handScope, &h.oa, &h.a, newFlatA), once(&h.handScope, &h.ob, &h.b, newFlatB),
			once(&h.handScope, &h.oc, &h.c, newFlatC), once(&h.handScope, &h.od, &h.d, newFlatD))
	})
	if f == nil {
		return io.EOF
	}
	return h.close()
}

func handThree() error {
	var h struct {
		handScope
		once [20]sync.Once
		a    *sObject[n3]
		b    *sObject[n9]
		c    *sObject[n17]
		_    [17]any // the others
	}
	handSink = &h
	once(&h.handScope, &h.once[3], &h.a, newObject[n3])
	once(&h.handScope, &h.once[9], &h.b, newObject[n9])
	once(&h.handScope, &h.once[17], &h.c, newObject[n17])
	return h.close()
}

// samber/do: a scope of the application's injector per request, with the providers registered in it, shut down and so forgotten.

func doGet[T any](s do.Injector) error {
	_, err := do.Invoke[T](s)
	return err
}

func doRequest(b *testing.B, register func(do.Injector), gets ...func(do.Injector) error) func() error {
	root := do.New()
	b.Cleanup(func() { root.Shutdown() })
	var names atomic.Int64
	return func() error {
		s := root.Scope(strconv.FormatInt(names.Add(1), 10), register)
		for _, get := range gets {
			if err := get(s); err != nil {
				return err
			}
		}
		if report := s.Shutdown(); !report.Succeed {
			return report
		}
		return nil
	}
}

func doChain(s do.Injector) {
	do.Provide(s, func(i do.Injector) (*sLink1, error) { l, err := do.Invoke[*sLink2](i); return newLink1(l), err })
	do.Provide(s, func(i do.Injector) (*sLink2, error) { l, err := do.Invoke[*sLink3](i); return newLink2(l), err })
	do.Provide(s, func(i do.Injector) (*sLink3, error) { l, err := do.Invoke[*sLink4](i); return newLink3(l), err })
	do.Provide(s, func(i do.Injector) (*sLink4, error) { l, err := do.Invoke[*sLink5](i); return newLink4(l), err })
	do.Provide(s, func(do.Injector) (*sLink5, error) { return newLink5(), nil })
}

func doFlat(s do.Injector) {
	do.Provide(s, func(i do.Injector) (*sFlat, error) {
		return newFlat(do.MustInvoke[*sFlatA](i), do.MustInvoke[*sFlatB](i), do.MustInvoke[*sFlatC](i), do.MustInvoke[*sFlatD](i)), nil
	})
	do.Provide(s, func(do.Injector) (*sFlatA, error) { return newFlatA(), nil })
	do.Provide(s, func(do.Injector) (*sFlatB, error) { return newFlatB(), nil })
	do.Provide(s, func(do.Injector) (*sFlatC, error) { return newFlatC(), nil })
	do.Provide(s, func(do.Injector) (*sFlatD, error) { return newFlatD(), nil })
}

func doObject[N any](s do.Injector) {
	do.Provide(s, func(do.Injector) (*sObject[N], error) { return newObject[N](), nil })
}

func doTwenty(s do.Injector) {
	for _, provide := range []func(do.Injector){
		doObject[n0], doObject[n1], doObject[n2], doObject[n3], doObject[n4], doObject[n5], doObject[n6], doObject[n7], doObject[n8], doObject[n9],
		doObject[n10], doObject[n11], doObject[n12], doObject[n13], doObject[n14], doObject[n15], doObject[n16], doObject[n17], doObject[n18], doObject[n19],
	} {
		provide(s)
	}
}

// dig: a container per request.
func digRequest(constructors []any, invoke any) func() error {
	return func() error {
		c := dig.New()
		for _, constructor := range constructors {
			if err := c.Provide(constructor); err != nil {
				return fmt.Errorf("provide: %w", err)
			}
		}
		return c.Invoke(invoke)
	}
}
