package fxfactory

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// each calls do for every item, at most limit at once, and returns when all calls have.
func each[E any](items []E, limit int, do func(E)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(limit, len(items)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				do(items[i])
			}
		})
	}
	wg.Wait()
}

// work is the user's code that runs at the moment, on whoever's behalf: what Stop waits for, and names if it cannot.
type work struct {
	mu    sync.Mutex
	tasks map[*task]struct{}
	idle  chan struct{} // made by who waits, closed when there are no tasks
}

type task struct{ verb, name string }

func (w *work) begin(verb, name string) (end func()) {
	t := &task{verb, name}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tasks == nil {
		w.tasks = make(map[*task]struct{})
	}
	w.tasks[t] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tasks, t)
		if len(w.tasks) == 0 && w.idle != nil {
			close(w.idle)
			w.idle = nil
		}
	}
}

// wait returns true once no task is left, or false if done is closed before.
func (w *work) wait(done <-chan struct{}) bool {
	for {
		w.mu.Lock()
		if len(w.tasks) == 0 {
			w.mu.Unlock()
			return true
		}
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle := w.idle
		w.mu.Unlock()
		select {
		case <-idle:
		case <-done:
			return false
		}
	}
}

// list names the tasks that run, sorted.
func (w *work) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]string, 0, len(w.tasks))
	for t := range w.tasks {
		list = append(list, fmt.Sprintf("%s %q", t.verb, t.name))
	}
	slices.Sort(list)
	return list
}
