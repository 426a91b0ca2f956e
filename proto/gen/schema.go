package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"listwatch.dev/proto-gen/internal/kinds"

	"k8s.io/apimachinery/pkg/runtime"
)

// Schema is everything that is written out.
type Schema struct {
	Modules  map[string]string
	Kinds    map[string]string
	Messages map[string]*Message
}

// Message describes one protobuf message and its Go type.
type Message struct {
	Class    string   `json:"class"`
	TypeMeta bool     `json:"typeMeta,omitempty"`
	Fields   []Field  `json:"fields"`
	JSONOnly []string `json:"jsonOnly,omitempty"`

	goType reflect.Type // the type whose Marshal writes this message
}

// Field describes one protobuf field; Class is that of a list's element and of a map's value.
type Field struct {
	Name      string `json:"name"`
	JSON      string `json:"json"`
	Inline    bool   `json:"inline,omitempty"`
	OmitEmpty bool   `json:"omitempty,omitempty"`
	OmitZero  bool   `json:"omitzero,omitempty"`
	Pointer   bool   `json:"pointer,omitempty"`
	Repeated  bool   `json:"repeated,omitempty"`
	Map       bool   `json:"map,omitempty"`
	Class     string `json:"class"`

	number    int
	protoType string       // as written in a .proto file, without label
	message   reflect.Type // the Go type of the element if it is a message
	index     int          // of the Go struct's field, -1 for fields made up here
}

// special are the types with a JSON form of their own. Fields are listed where
// the Go struct has none with protobuf tags.
var special = map[string]struct {
	class  string
	fields []Field
}{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":      {"Time", timestamp},
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": {"MicroTime", timestamp},
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":  {class: "Duration"},
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":  {class: "FieldsV1"},
	"k8s.io/apimachinery/pkg/api/resource.Quantity": {"Quantity", []Field{
		{Name: "string", JSON: "string", Class: "string", number: 1, protoType: "string", index: -1}}},
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":                                            {class: "IntOrString"},
	"k8s.io/apimachinery/pkg/runtime.RawExtension":                                               {class: "RawExtension"},
	"k8s.io/apimachinery/pkg/runtime.Unknown":                                                    {class: "Unknown"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON":                              {class: "JSON"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray":            {class: "JSONSchemaPropsOrArray"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool":             {class: "JSONSchemaPropsOrBool"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray":      {class: "JSONSchemaPropsOrStringArray"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.JSON":                         {class: "JSON"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.JSONSchemaPropsOrArray":       {class: "JSONSchemaPropsOrArray"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.JSONSchemaPropsOrBool":        {class: "JSONSchemaPropsOrBool"},
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.JSONSchemaPropsOrStringArray": {class: "JSONSchemaPropsOrStringArray"},
}

// Both kinds of time are written through another message, so have no tags of their own.
var timestamp = []Field{
	{Name: "seconds", JSON: "seconds", Class: "int64", number: 1, protoType: "int64", index: -1},
	{Name: "nanos", JSON: "nanos", Class: "int32", number: 2, protoType: "int32", index: -1},
}

var (
	typeMeta       = reflect.TypeFor[runtime.TypeMeta]()
	pbMessage      = reflect.TypeFor[kinds.Message]()
	jsonMarshaler  = reflect.TypeFor[json.Marshaler]()
	textMarshaler  = reflect.TypeFor[encoding.TextMarshaler]()
	typeMetaSuffix = ".TypeMeta"
)

func reflectSchema() (*Schema, error) {
	s := &Schema{Modules: kinds.Versions(), Kinds: map[string]string{}, Messages: map[string]*Message{}}
	for gvk, t := range kinds.NewScheme().AllKnownTypes() {
		gv := gvk.GroupVersion()
		if gvk.Version == runtime.APIVersionInternal || !isMessage(t) || kinds.IsShared(t.PkgPath(), gv) {
			continue
		}
		s.Kinds[gv.String()+"/"+gvk.Kind] = messageName(t)
		if err := s.add(t); err != nil {
			return nil, err
		}
	}
	// Not kinds, but on the wire: the envelope of every stored and served object.
	for _, t := range []reflect.Type{reflect.TypeFor[runtime.Unknown](), reflect.TypeFor[runtime.TypeMeta]()} {
		if err := s.add(t); err != nil {
			return nil, err
		}
	}
	for name := range s.Messages {
		if names, err := s.jsonNames(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		} else if dup := duplicate(names); dup != "" {
			return nil, fmt.Errorf("%s: two members are named %q in JSON", name, dup)
		}
	}
	return s, nil
}

// jsonNames are the member names of an object, inline ones included.
func (s *Schema) jsonNames(message string) ([]string, error) {
	var names []string
	for _, f := range s.Messages[message].Fields {
		if !f.Inline {
			names = append(names, f.JSON)
			continue
		}
		if f.Class != "message" || f.Repeated || f.Map {
			return nil, fmt.Errorf("field %s is inline but not a plain message", f.Name)
		}
		inner, err := s.jsonNames(messageName(f.message))
		if err != nil {
			return nil, err
		}
		names = append(names, inner...)
	}
	return names, nil
}

func duplicate(names []string) string {
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return names[i]
		}
	}
	return ""
}

// add records the message of a Go type and all messages that it refers to.
func (s *Schema) add(t reflect.Type) error {
	name := messageName(t)
	if old, ok := s.Messages[name]; ok {
		if old.goType != t {
			return fmt.Errorf("%s and %s are both message %s", old.goType, t, name)
		}
		return nil
	}
	class, err := classOf(t)
	if err != nil {
		return err
	}
	m := &Message{Class: class, goType: t}
	s.Messages[name] = m // before its fields: messages may contain themselves
	switch {
	case special[typeName(t)].fields != nil:
		m.Fields = special[typeName(t)].fields
	case class == "items":
		f := Field{Name: "items", number: 1, index: -1}
		if err := f.setType(t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		m.Fields = []Field{f}
	default:
		if err := m.addFields(t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, f := range m.Fields {
		if f.message != nil {
			if err := s.add(f.message); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Message) addFields(t reflect.Type) error {
	m.Fields = []Field{}
	numbers := map[int]string{}
	for i := range t.NumField() {
		goField := t.Field(i)
		jsonName, jsonOptions, _ := strings.Cut(goField.Tag.Get("json"), ",")
		options := strings.Split(jsonOptions, ",")
		tag, ok := goField.Tag.Lookup("protobuf")
		if !ok {
			switch {
			case !goField.IsExported() || jsonName == "-":
			case goField.Anonymous && strings.HasSuffix(typeName(goField.Type), typeMetaSuffix):
				// kind and apiVersion are outside the message, in the envelope.
				if m.TypeMeta = true; len(m.Fields) > 0 {
					return fmt.Errorf("TypeMeta is not the first field")
				}
			default:
				fmt.Fprintf(os.Stderr, "proto-gen: warning: %s.%s is in JSON but not in protobuf\n", typeName(t), goField.Name)
				m.JSONOnly = append(m.JSONOnly, jsonName)
			}
			continue
		}
		f := Field{JSON: jsonName, index: i, OmitEmpty: slices.Contains(options, "omitempty"), OmitZero: slices.Contains(options, "omitzero")}
		if slices.Contains(options, "string") {
			return fmt.Errorf("field %s: numbers in strings are not supported", goField.Name)
		}
		if jsonName == "" {
			if f.Inline = goField.Anonymous; !f.Inline {
				f.JSON = goField.Name
			}
		}
		if jsonName == "-" {
			if f.JSON = ""; m.Class == "message" {
				return fmt.Errorf("field %s is in protobuf but not in JSON", goField.Name)
			}
		}
		parts := strings.Split(tag, ",")
		number, err := strconv.Atoi(parts[1])
		if err != nil || numbers[number] != "" {
			return fmt.Errorf("field %s: bad or repeated number in tag %q", goField.Name, tag)
		}
		f.number, f.Name = number, strings.ToLower(goField.Name[:1])+goField.Name[1:]
		numbers[number] = goField.Name
		for _, p := range parts[2:] {
			if n, ok := strings.CutPrefix(p, "name="); ok {
				f.Name = n
			}
		}
		if err := f.setType(goField.Type); err != nil {
			return fmt.Errorf("field %s: %w", goField.Name, err)
		}
		m.Fields = append(m.Fields, f)
	}
	return nil
}

// setType derives class and protobuf type from the Go type. The wire type in
// the struct tag is not used: it is wrong for pointers to floats.
func (f *Field) setType(t reflect.Type) error {
	wrapper := f.index < 0 // the slice type itself is being described, not a field of that type
	if t.Kind() == reflect.Pointer {
		f.Pointer, t = true, t.Elem()
	}
	prefix := ""
	switch {
	case t.Kind() == reflect.Slice && (wrapper || !isMessage(t)) && t.Elem().Kind() != reflect.Uint8:
		f.Repeated, t = true, t.Elem()
	case t.Kind() == reflect.Map && !isMessage(t):
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("map with %s keys", t.Key())
		}
		if t.Key().Implements(textMarshaler) {
			return fmt.Errorf("map key %s has its own text form", t.Key())
		}
		f.Map, t, prefix = true, t.Elem(), "map<string, "
	}
	if t.Kind() == reflect.Pointer {
		return fmt.Errorf("nullable elements (%s) are not supported", t)
	}
	class, err := classOf(t)
	if err != nil {
		return err
	}
	f.Class, f.protoType = class, class
	if isMessage(t) {
		f.message, f.protoType = t, messageName(t)
	} else if class == "float64" {
		f.protoType = "double"
	} else if class == "float32" {
		f.protoType = "float"
	}
	if prefix != "" {
		f.protoType = prefix + f.protoType + ">"
	}
	return nil
}

// classOf names how a value of the type is written in JSON.
func classOf(t reflect.Type) (string, error) {
	if s, ok := special[typeName(t)]; ok {
		return s.class, nil
	}
	for _, own := range []reflect.Type{jsonMarshaler, textMarshaler} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return "", fmt.Errorf("%s has a JSON form of its own that this generator does not know", typeName(t))
		}
	}
	switch {
	case isMessage(t) && t.Kind() == reflect.Slice:
		return "items", nil
	case isMessage(t) && t.Kind() == reflect.Struct:
		return "message", nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes", nil
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return t.Kind().String(), nil
	}
	return "", fmt.Errorf("%s (%s) has no protobuf form", typeName(t), t.Kind())
}

// isMessage tells whether the type has a message of its own; a pointer to it has the methods.
func isMessage(t reflect.Type) bool { return reflect.PointerTo(t).Implements(pbMessage) }

func typeName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// messageName is the published protobuf name: the import path with dots.
func messageName(t reflect.Type) string {
	return strings.NewReplacer("/", ".", "-", "_").Replace(t.PkgPath()) + "." + t.Name()
}
