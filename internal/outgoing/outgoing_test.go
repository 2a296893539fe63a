package outgoing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"

	"github.com/fxkit/fxkit/internal/outgoing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKey_is_the_one_of_the_metadata_to_send(t *testing.T) {
	t.Parallel()
	assert.Nil(t, context.Background().Value(outgoing.Key()))
	sent := metadata.AppendToOutgoingContext(context.Background(), "k", "v")
	assert.NotNil(t, sent.Value(outgoing.Key()))
	received := metadata.NewIncomingContext(context.Background(), metadata.Pairs("k", "v"))
	assert.Nil(t, received.Value(outgoing.Key()))
}
