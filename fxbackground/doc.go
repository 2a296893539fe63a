// Package fxbackground runs work that outlives the call that asked for it, and gives it a bounded chance to finish
// before anything that it uses is closed.
package fxbackground
