//go:build race

package fxconfig_test

const underRace = true
