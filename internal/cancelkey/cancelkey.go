// Package cancelkey knows the private key by which package context asks a context for its cancellation.
//
// A context of one's own that takes its values from one context and its cancellation from another has to answer that key
// from the second one. Otherwise context.Cause gives the cause of the wrong one, and each context derived from it costs a goroutine.
package cancelkey

import "context"

// Learn returns the key. Should package context come to ask in another way, it returns a key that nobody asks for.
func Learn() any {
	p := &probe{Context: context.Background(), key: new(int)}
	_ = context.Cause(p)
	return p.key
}

type probe struct {
	context.Context
	key any
}

// Err is not nil, since a context that lives has no cause to be asked for.
func (p *probe) Err() error { return context.Canceled }

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}
