package fxlifecycle

import "fmt"

// Phase is where an application stands, seen by its Coordinator.
type Phase int

// An application goes through these phases in this order. It skips some if fx.New or start fails.
const (
	Constructing Phase = iota // until start begins
	Starting                  // OnStart hooks and OnReady functions run
	Running                   // ready
	Stopping                  // from the first hook of stop, or of the rollback of a start that failed
	Stopped                   // every hook of stop has run or was left behind
)

func (p Phase) String() string {
	switch p {
	case Constructing:
		return "constructing"
	case Starting:
		return "starting"
	case Running:
		return "running"
	case Stopping:
		return "stopping"
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("fxlifecycle.Phase(%d)", int(p))
}
