package fxscope

import (
	"reflect"
	"sync/atomic"
)

// A slot is the place of one object in a scope. The first slot of a unit also has the state of its construction.
type slot struct {
	value   reflect.Value // to be read once the slot is ready
	state   atomic.Uint64 // a state
	waiting *waiting      // guarded by the scope's lock
}

// A state is everything about a slot that goroutines must agree on, in one word: most objects are then built without a lock. It is made
// up of the flags below, the number of the attempt, and the build that this one is for.
type state uint64

const (
	// isReady: the value is there, for good.
	isReady state = 1 << iota
	// isBuilding: somebody builds it. Only that one changes the state then, but for isAwaited.
	isBuilding
	// isAwaited: there are who wait for it. It is set under the scope's lock, and whoever builds then ends the build under it too.
	isAwaited

	flags     = 3
	fieldBits = 20 // three fields of 20 bits and the flags fill the word
	fieldMask = 1<<fieldBits - 1
)

// maxSlots is how many slots a plan may have, so that each fits a field.
const maxSlots = fieldMask

// A build is one attempt of a unit to make its objects in a scope. The zero build is none: attempts count from 1.
type build struct {
	home    uint32 // the first slot of the unit
	attempt uint32 // modulo 1<<fieldBits, and not 0
}

func (s *slot) load() state { return state(s.state.Load()) }

func (s *slot) ready() bool { return s.load()&isReady != 0 }

func (s *slot) replace(from, to state) bool { return s.state.CompareAndSwap(uint64(from), uint64(to)) }

// fill puts a value where nobody else can see the slot yet, or only this goroutine may change it.
func (s *slot) fill(v reflect.Value) {
	s.value = v
	s.state.Or(uint64(isReady))
}

func (s state) attempt() uint32 { return uint32(s>>flags) & fieldMask }

// parent is the build that this one is for, or none.
func (s state) parent() build {
	return build{uint32(s>>(flags+fieldBits)) & fieldMask, uint32(s>>(flags+2*fieldBits)) & fieldMask}
}

// begun is s with a new attempt under way, for parent.
func (s state) begun(parent build) state {
	attempt := s.attempt()%fieldMask + 1
	return s&isReady | isBuilding | state(attempt)<<flags |
		state(parent.home)<<(flags+fieldBits) | state(parent.attempt)<<(flags+2*fieldBits)
}

// settled is s with the attempt over. Its number stays, so that its contexts are told from those of the next.
func (s state) settled() state { return s & (isReady | fieldMask<<flags) }
