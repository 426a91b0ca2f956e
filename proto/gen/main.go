// Command proto-gen writes the protobuf schema of every public Kubernetes API
// kind, by reflection over the Go types that define it:
//
//	../<package>.proto   messages and field numbers, proto2
//	../go-types.json     what a .proto file cannot say: JSON names and order,
//	                     what is omitted when empty, which types have a JSON
//	                     form of their own
//	../openapi-facts.json  what only comments and struct tags of the sources say:
//	                     what is required, keys of lists, patch strategies
//
// With -check it writes nothing and fails if the files differ from what it would write.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	check := flag.Bool("check", false, "compare with the files on disk instead of writing them")
	out := flag.String("out", "..", "folder of the generated files")
	flag.Parse()
	schema, err := reflectSchema()
	if err == nil {
		err = selfCheck(schema)
	}
	var files map[string][]byte
	if err == nil {
		files, err = render(schema)
	}
	if err == nil && *check {
		err = compare(*out, files)
	} else if err == nil {
		err = write(*out, files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proto-gen:", err)
		os.Exit(1)
	}
}

// stale lists generated files that are on disk but no longer generated.
func stale(dir string, files map[string][]byte) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	var names []string
	for _, path := range found {
		if _, ok := files[filepath.Base(path)]; !ok {
			names = append(names, filepath.Base(path))
		}
	}
	return names, err
}

func write(dir string, files map[string][]byte) error {
	old, err := stale(dir, files)
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare reports every differing file with its first differing line.
func compare(dir string, files map[string][]byte) error {
	old, err := stale(dir, files)
	if err != nil {
		return err
	}
	var diffs []string
	for _, name := range old {
		diffs = append(diffs, name+": no longer generated")
	}
	for _, name := range sortedKeys(files) {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			diffs = append(diffs, name+": missing")
		} else if !bytes.Equal(have, files[name]) {
			diffs = append(diffs, name+": "+firstDifference(string(have), string(files[name])))
		}
	}
	if len(diffs) > 0 {
		return fmt.Errorf("%d of %d files differ from the generator's output:\n  %s", len(diffs), len(files), strings.Join(diffs, "\n  "))
	}
	return nil
}

func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(h) && i < len(w) && h[i] == w[i] {
		i++
	}
	line := func(l []string) string {
		if i >= len(l) {
			return "(end of file)"
		}
		return fmt.Sprintf("%.160q", l[i])
	}
	return fmt.Sprintf("line %d\n    - %s\n    + %s", i+1, line(h), line(w))
}
