// Package fxconfig is one merged, read-only view of an application's YAML.
package fxconfig
