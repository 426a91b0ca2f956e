package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"listwatch.dev/proto-gen/internal/kinds"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// selfCheck compares the schema with what the Go types really write: setting
// one field alone must change the bytes of that field's number and no other,
// with the wire type of its class, and fields must come in ascending order.
func selfCheck(s *Schema) error {
	var problems []error
	for _, name := range sortedKeys(s.Messages) {
		m := s.Messages[name]
		zero := reflect.New(m.goType)
		base, err := wireFields(zero)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			continue
		}
		for _, f := range m.Fields {
			filled := reflect.New(m.goType)
			target := filled.Elem()
			if f.index >= 0 {
				target = target.Field(f.index)
			}
			setNonZero(target, 0)
			have, err := wireFields(filled)
			if err == nil {
				err = checkField(f, m.Fields, base, have)
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("%s.%s: %w", name, f.Name, err))
			}
		}
	}
	problems = append(problems, checkPackages(s))
	return errors.Join(problems...)
}

func checkField(f Field, all []Field, base, have map[int]wireField) error {
	for number, field := range have {
		i := slices.IndexFunc(all, func(o Field) bool { return o.number == number })
		if i < 0 {
			return fmt.Errorf("field number %d is written but not known", number)
		}
		if want := wireType(all[i]); field.wire != want {
			return fmt.Errorf("field number %d has wire type %d, not %d", number, field.wire, want)
		}
		changed := !bytes.Equal(field.bytes, base[number].bytes) || field.count != base[number].count
		// A struct without Go fields, or a type that is described as a whole, cannot show a change of one field.
		if changed != (number == f.number) && f.index >= 0 && !isEmptyStruct(f) {
			return fmt.Errorf("setting it alone changes number %d: %v", number, changed)
		}
	}
	if _, ok := have[f.number]; !ok {
		return fmt.Errorf("is set but not written")
	}
	return nil
}

func isEmptyStruct(f Field) bool {
	return f.message != nil && f.message.Kind() == reflect.Struct && f.message.NumField() == 0 && !f.Pointer
}

type wireField struct {
	wire  int
	count int
	bytes []byte
}

// wireFields marshals a message and splits the result by field number.
func wireFields(message reflect.Value) (map[int]wireField, error) {
	data, err := message.Interface().(kinds.Message).Marshal()
	if err != nil {
		return nil, err
	}
	fields, last := map[int]wireField{}, 0
	for len(data) > 0 {
		tag, n := varint(data)
		number, wire := int(tag>>3), int(tag&7)
		if number < last {
			return nil, fmt.Errorf("number %d is written after %d", number, last)
		}
		last = number
		size := 0
		switch wire {
		case 0:
			_, size = varint(data[n:])
		case 1:
			size = 8
		case 2:
			l, ln := varint(data[n:])
			size = int(l) + ln
		case 5:
			size = 4
		default:
			return nil, fmt.Errorf("number %d has wire type %d", number, wire)
		}
		old := fields[number]
		fields[number] = wireField{wire, old.count + 1, append(old.bytes, data[n:n+size]...)}
		data = data[n+size:]
	}
	return fields, nil
}

func varint(b []byte) (value uint64, size int) {
	for shift := 0; ; shift += 7 {
		c := b[size]
		size++
		value |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return value, size
		}
	}
}

func wireType(f Field) int {
	switch f.Class {
	case "bool", "int32", "int64", "uint32", "uint64":
		if !f.Map {
			return 0
		}
	case "float64":
		return 1
	case "float32":
		return 5
	}
	return 2
}

// setNonZero sets a value and, up to a depth, everything in it.
func setNonZero(v reflect.Value, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *metav1.Time:
		*p = metav1.Unix(1_000_000_000, 0)
		return
	case *metav1.MicroTime:
		*p = metav1.NewMicroTime(time.Unix(1_000_000_000, 1000))
		return
	case *resource.Quantity:
		*p = resource.MustParse("1")
		return
	case *runtime.RawExtension:
		p.Raw = []byte("{}")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Uint8:
		v.SetUint('x')
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setNonZero(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setNonZero(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString("x")
		setNonZero(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if _, ok := v.Type().Field(i).Tag.Lookup("protobuf"); ok && depth < 3 {
				setNonZero(v.Field(i), depth+1)
			}
		}
	}
}

// checkPackages makes sure that a package which a new version of the modules
// brings along is not forgotten.
func checkPackages(s *Schema) error {
	known := map[string]bool{
		"k8s.io.apimachinery.pkg.runtime.schema":       true, // has no messages
		"k8s.io.apimachinery.pkg.apis.testapigroup.v1": true, // only for upstream's tests
	}
	for name := range s.Messages {
		pkg, _ := splitName(name)
		known[pkg] = true
	}
	var problems []error
	for _, module := range kinds.Modules {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			return fmt.Errorf("go list -m %s: %w", module, err)
		}
		root := strings.TrimSpace(string(out))
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "generated.pb.go" {
				return err
			}
			folder, err := filepath.Rel(root, filepath.Dir(path))
			pkg := strings.NewReplacer("/", ".", "-", "_").Replace(module + "/" + filepath.ToSlash(folder))
			if !known[pkg] {
				problems = append(problems, fmt.Errorf("package %s has protobuf messages but is not registered", pkg))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(problems...)
}
