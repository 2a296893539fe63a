// Package fxqualifier tells apart several values of one type, by typed qualifiers that compile to Fx's own names.
package fxqualifier
