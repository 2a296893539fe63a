package bench_test

// The shapes of S12's requests: a chain of five objects, five objects that one needs, and twenty of which three are asked for. None has hooks.

type (
	sLink1 struct{ next *sLink2 }
	sLink2 struct{ next *sLink3 }
	sLink3 struct{ next *sLink4 }
	sLink4 struct{ next *sLink5 }
	sLink5 struct{ _ int }

	sFlat struct {
		a *sFlatA
		b *sFlatB
		c *sFlatC
		d *sFlatD
	}
	sFlatA struct{ _ int }
	sFlatB struct{ _ int }
	sFlatC struct{ _ int }
	sFlatD struct{ _ int }
)

func newLink1(l *sLink2) *sLink1 { return &sLink1{l} }
func newLink2(l *sLink3) *sLink2 { return &sLink2{l} }
func newLink3(l *sLink4) *sLink3 { return &sLink3{l} }
func newLink4(l *sLink5) *sLink4 { return &sLink4{l} }
func newLink5() *sLink5          { return &sLink5{} }

func newFlat(a *sFlatA, b *sFlatB, c *sFlatC, d *sFlatD) *sFlat { return &sFlat{a, b, c, d} }
func newFlatA() *sFlatA                                         { return &sFlatA{} }
func newFlatB() *sFlatB                                         { return &sFlatB{} }
func newFlatC() *sFlatC                                         { return &sFlatC{} }
func newFlatD() *sFlatD                                         { return &sFlatD{} }

var (
	scopeChain = []any{newLink1, newLink2, newLink3, newLink4, newLink5}
	scopeFlat  = []any{newFlat, newFlatA, newFlatB, newFlatC, newFlatD}
)

// sObject stands for twenty types.
type sObject[N any] struct{ _ N }

func newObject[N any]() *sObject[N] { return &sObject[N]{} }

type (
	n0  [1]byte
	n1  [2]byte
	n2  [3]byte
	n3  [4]byte
	n4  [5]byte
	n5  [6]byte
	n6  [7]byte
	n7  [8]byte
	n8  [9]byte
	n9  [10]byte
	n10 [11]byte
	n11 [12]byte
	n12 [13]byte
	n13 [14]byte
	n14 [15]byte
	n15 [16]byte
	n16 [17]byte
	n17 [18]byte
	n18 [19]byte
	n19 [20]byte
)

var scopeTwenty = []any{
	newObject[n0], newObject[n1], newObject[n2], newObject[n3], newObject[n4], newObject[n5], newObject[n6], newObject[n7], newObject[n8], newObject[n9],
	newObject[n10], newObject[n11], newObject[n12], newObject[n13], newObject[n14], newObject[n15], newObject[n16], newObject[n17], newObject[n18], newObject[n19],
}
