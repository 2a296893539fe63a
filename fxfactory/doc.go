// Package fxfactory creates, holds and destroys the named instances of one kind of client, from one section of configuration.
package fxfactory
