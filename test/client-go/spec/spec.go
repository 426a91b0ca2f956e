// Package spec is what one watcher of a test is to watch, and how what it sees is written down.
package spec

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Watcher is an element of the JSON array that tests pass to watchers and etcd-history.
type Watcher struct {
	Name          string `json:"name"` // names its file, too
	Namespace     string `json:"namespace"`
	LabelSelector string `json:"labelSelector"`
	FieldSelector string `json:"fieldSelector"`
	// How it is asked for; etcd-history looks at Client only.
	Client string `json:"client"` // typed, metadata or dynamic
	Accept string `json:"accept"` // protobuf or json; dynamic clients take JSON
	Server string `json:"server"`
	Http   int    `json:"http"` // 1 or 2
}

// Read reads such an array.
func Read(file string) ([]Watcher, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var watchers []Watcher
	return watchers, json.Unmarshal(text, &watchers)
}

// Log is a file with one event a line.
type Log struct {
	file *os.File
	out  *bufio.Writer
}

// OpenLog appends to DIR/NAME.
func OpenLog(dir, name string) (*Log, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &Log{file, bufio.NewWriterSize(file, 1<<16)}, nil
}

// Event writes a line: the type, `namespace/name`, resourceVersion and digest.
func (l *Log) Event(eventType, key, resourceVersion, digest string) {
	fmt.Fprintf(l.out, "%s %s %s %s\n", eventType, key, resourceVersion, digest)
}

// Flush makes what was written visible to who reads the file.
func (l *Log) Flush() error { return l.out.Flush() }

// Close flushes and closes.
func (l *Log) Close() error {
	if err := l.out.Flush(); err != nil {
		return err
	}
	return l.file.Close()
}
