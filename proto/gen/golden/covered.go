package main

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
)

// covered counts which protobuf fields of which types the objects have set.
type covered struct {
	set  map[string]bool
	seen map[reflect.Type]bool
}

func newCovered() covered { return covered{map[string]bool{}, map[reflect.Type]bool{}} }

func (c covered) add(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			c.add(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.add(v.Index(i))
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			c.add(value)
		}
	case reflect.Struct:
		c.seen[v.Type()] = true
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				if !v.Field(i).IsZero() {
					c.set[fieldName(v.Type(), i)] = true
				}
				c.add(v.Field(i))
			}
		}
	}
}

func (c covered) report(w io.Writer, all bool) {
	total, unset := 0, map[string]bool{}
	for t := range c.seen {
		for i := range t.NumField() {
			if _, ok := t.Field(i).Tag.Lookup("protobuf"); !ok {
				continue
			}
			if total++; !c.set[fieldName(t, i)] {
				unset[fieldName(t, i)] = true
			}
		}
	}
	fmt.Fprintf(w, "fields set in some object: %d of %d\n", total-len(unset), total)
	if all {
		for _, name := range slices.Sorted(maps.Keys(unset)) {
			fmt.Fprintln(w, "never set:", name)
		}
	}
}

func fieldName(t reflect.Type, i int) string {
	return t.PkgPath() + "." + t.Name() + "." + t.Field(i).Name
}
