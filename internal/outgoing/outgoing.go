// Package outgoing knows the private key under which gRPC keeps the metadata to send in a context.
//
// gRPC asks a stream's context for it whenever it opens the stream, so a context of one's own that answers this key learns of that, and
// one that adds metadata does not hide it from the contexts that it is made from.
package outgoing

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// Key is the key.
func Key() any {
	p := &probe{Context: context.Background(), key: new(int)}
	metadata.FromOutgoingContext(p)
	return p.key
}

type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}
