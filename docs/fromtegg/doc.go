// Package fromtegg is the code that the guide from-tegg.md shows: each of its snippets is an example here, and runs.
package fromtegg
