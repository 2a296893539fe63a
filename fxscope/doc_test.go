package fxscope_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/fxkit/fxkit/fxscope"
)

type Checkout struct{ orders *Orders }

func NewCheckout(o *Orders) *Checkout { return &Checkout{o} }
func ReadLedger() Ledger              { return Ledger{} }
func OpenOrders() (*Orders, error)    { return nil, errRefused }

// The messages in the package's documentation are those that users see, but for the name of the package and the places.
func TestS2_S5_the_documented_messages_are_real(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	place := regexp.MustCompile(`\([^()]*\.go:\d+\)`)
	plain := func(s string) string { return place.ReplaceAllString(s, "(PLACE)") }
	doc := plain(strings.Join(strings.Fields(strings.ReplaceAll(string(source), "\n//", "\n")), " "))

	scopes := begin(t, fxscope.Provide(NewCheckout, OpenOrders))
	for _, err := range []error{
		planError(t, fxscope.Provide(NewCheckout, NewOrders), fx.Provide(ReadLedger), fx.Supply(&Principal{})),
		planError(t, fxscope.Provide(NewCart, NewPrices)),
		scopes.Run(t.Context(), get[*Checkout]),
	} {
		message := regexp.MustCompile(`fxscope: .*`).FindString(err.Error())
		message = strings.ReplaceAll(strings.ReplaceAll(message, "github.com/fxkit/fxkit/", ""), "fxscope_test.", "shop.")
		assert.Contains(t, doc, plain(message))
	}
}
