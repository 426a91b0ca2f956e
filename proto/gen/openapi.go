package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Facts is what OpenAPI says of a message and neither its protobuf nor its JSON
// form tells: it stands in comments ("+listType=map") and struct tags only.
type Facts struct {
	MapType string                `json:"mapType,omitempty"` // of the whole struct
	Union   *Union                `json:"union,omitempty"`
	Fields  map[string]FieldFacts `json:"fields,omitempty"` // by JSON name
}

// Union is a struct of which one member is set at most ("+union").
type Union struct {
	Discriminator string            `json:"discriminator,omitempty"` // says which one
	Members       map[string]string `json:"members"`                 // JSON name to the discriminator's value
}

// FieldFacts has the markers of one field.
type FieldFacts struct {
	Required      bool            `json:"required,omitempty"`
	ListType      string          `json:"listType,omitempty"`
	ListMapKeys   []string        `json:"listMapKeys,omitempty"`
	MapType       string          `json:"mapType,omitempty"`
	PatchStrategy string          `json:"patchStrategy,omitempty"`
	PatchMergeKey string          `json:"patchMergeKey,omitempty"`
	Default       json.RawMessage `json:"default,omitempty"`
	Enum          []string        `json:"enum,omitempty"` // of the value, or of each element of a list or map
}

// openAPIFacts reads the sources of the packages that the messages are made from.
func openAPIFacts(s *Schema) (map[string]Facts, error) {
	sources := map[string]*source{}
	found := map[string]Facts{}
	for _, name := range sortedKeys(s.Messages) {
		m := s.Messages[name]
		if m.Class != "message" || m.goType.Kind() != reflect.Struct {
			continue // its JSON form, and so its schema, is its own
		}
		facts, err := factsOf(m, sources)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if facts.MapType != "" || facts.Union != nil || len(facts.Fields) > 0 {
			found[name] = facts
		}
	}
	return found, nil
}

func factsOf(m *Message, sources map[string]*source) (Facts, error) {
	facts := Facts{Fields: map[string]FieldFacts{}}
	src, err := sourceOf(m.goType.PkgPath(), sources)
	if err != nil {
		return facts, err
	}
	spec, err := src.structOf(m.goType.Name(), sources)
	if err != nil {
		return facts, fmt.Errorf("%s: %w", m.goType.PkgPath(), err)
	}
	doc := src.docs[m.goType.Name()]
	marks := markers(doc)
	facts.MapType = first(marks["structType"])
	if _, isUnion := marks["union"]; isUnion {
		facts.Union = &Union{Members: map[string]string{}}
	}
	for _, f := range m.Fields {
		if f.index < 0 || f.Inline {
			continue
		}
		goField := m.goType.Field(f.index)
		comment := commentOf(spec, goField.Name)
		marks := markers(comment)
		if facts.Union != nil {
			facts.Union.add(f.JSON, goField.Name, marks)
		}
		fieldFacts, err := fieldFactsOf(f, goField, marks, src, sources)
		if err != nil {
			return facts, fmt.Errorf("field %s: %w", goField.Name, err)
		}
		if !reflect.DeepEqual(fieldFacts, FieldFacts{}) {
			facts.Fields[f.JSON] = fieldFacts
		}
	}
	return facts, nil
}

func (u *Union) add(jsonName, goName string, marks map[string][]string) {
	if _, ok := marks["unionDiscriminator"]; ok {
		u.Discriminator = jsonName
	} else {
		u.Members[jsonName] = goName
	}
}

func fieldFactsOf(f Field, goField reflect.StructField, marks map[string][]string, src *source, sources map[string]*source) (FieldFacts, error) {
	_, optional := marks["optional"]
	_, required := marks["required"]
	if optional && required {
		return FieldFacts{}, fmt.Errorf("both optional and required")
	}
	facts := FieldFacts{
		Required:      required || (!optional && !f.OmitEmpty),
		ListType:      first(marks["listType"]),
		ListMapKeys:   marks["listMapKey"],
		MapType:       first(append(marks["mapType"], marks["structType"]...)),
		PatchStrategy: goField.Tag.Get("patchStrategy"),
		PatchMergeKey: goField.Tag.Get("patchMergeKey"),
	}
	if text := first(marks["default"]); text != "" {
		if name, ok := strings.CutPrefix(text, "ref("); ok {
			value, ok := src.constants[strings.TrimSuffix(name, ")")]
			if !ok {
				return facts, fmt.Errorf("default %s is not a constant of the package", text)
			}
			text = strconv.Quote(value.text)
		}
		if !json.Valid([]byte(text)) {
			return facts, fmt.Errorf("default %s is not JSON", text)
		}
		facts.Default = json.RawMessage(text)
	}
	t := goField.Type
	for t.Kind() == reflect.Pointer || (t.Kind() == reflect.Slice && f.Repeated) || (t.Kind() == reflect.Map && f.Map) {
		t = t.Elem()
	}
	if t.Kind() != reflect.String || t.PkgPath() == "" {
		return facts, nil
	}
	other, err := sourceOf(t.PkgPath(), sources)
	if err != nil {
		return facts, err
	}
	if _, isEnum := markers(other.docs[t.Name()])["enum"]; isEnum {
		for _, c := range other.constants {
			if c.typ != t.Name() {
				continue
			}
			if c.pkg != "" {
				origin, err := sourceOf(c.pkg, sources)
				if err != nil {
					return facts, err
				}
				c.text = origin.constants[c.text].text
			}
			if !slices.Contains(facts.Enum, c.text) {
				facts.Enum = append(facts.Enum, c.text)
			}
		}
		slices.Sort(facts.Enum)
	}
	return facts, nil
}

// source is what was read of one package.
type source struct {
	docs      map[string]string // by type
	specs     map[string]ast.Expr
	imports   map[string]map[string]string // by type: packages by their name in its file
	constants map[string]constant
}

// constant has its text, or the name of the one in another package whose text it has.
type constant struct{ typ, text, pkg string }

func sourceOf(path string, sources map[string]*source) (*source, error) {
	if known, ok := sources[path]; ok {
		return known, nil
	}
	pkg, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
	if err != nil {
		return nil, err
	}
	src := &source{docs: map[string]string{}, specs: map[string]ast.Expr{}, imports: map[string]map[string]string{}, constants: map[string]constant{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		src.read(file)
	}
	sources[path] = src
	return src, nil
}

func (src *source) read(file *ast.File) {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			name := path[strings.LastIndexByte(path, '/')+1:]
			if spec.Name != nil {
				name = spec.Name.Name
			}
			imports[name] = path
		}
	}
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				doc := spec.Doc
				if doc == nil {
					doc = general.Doc
				}
				src.docs[spec.Name.Name], src.specs[spec.Name.Name] = raw(doc), spec.Type
				src.imports[spec.Name.Name] = imports
			case *ast.ValueSpec:
				src.readConstants(spec, imports)
			}
		}
	}
}

// readConstants keeps those that are written as a string, with or without a type, or as a constant of another package with one.
func (src *source) readConstants(spec *ast.ValueSpec, imports map[string]string) {
	for i, value := range spec.Values {
		typ, _ := spec.Type.(*ast.Ident)
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
			typ, _ = call.Fun.(*ast.Ident)
			value = call.Args[0]
		}
		if selector, ok := value.(*ast.SelectorExpr); ok && typ != nil {
			if pkg, ok := selector.X.(*ast.Ident); ok {
				src.constants[spec.Names[i].Name] = constant{typ: typ.Name, text: selector.Sel.Name, pkg: imports[pkg.Name]}
			}
			continue
		}
		literal, ok := value.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || i >= len(spec.Names) {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			continue
		}
		c := constant{text: text}
		if typ != nil {
			c.typ = typ.Name
		}
		src.constants[spec.Names[i].Name] = c
	}
}

// structOf follows types that are declared as another one.
func (src *source) structOf(name string, sources map[string]*source) (*ast.StructType, error) {
	switch expr := src.specs[name].(type) {
	case *ast.StructType:
		return expr, nil
	case *ast.Ident:
		return src.structOf(expr.Name, sources)
	case *ast.SelectorExpr:
		pkg, _ := expr.X.(*ast.Ident)
		other, err := sourceOf(src.imports[name][pkg.Name], sources)
		if err != nil {
			return nil, err
		}
		return other.structOf(expr.Sel.Name, sources)
	}
	return nil, fmt.Errorf("no struct %s in the source", name)
}

func commentOf(spec *ast.StructType, name string) string {
	for _, field := range spec.Fields.List {
		for _, ident := range field.Names {
			if ident.Name == name {
				return raw(field.Doc)
			}
		}
		if len(field.Names) == 0 && embeddedName(field.Type) == name {
			return raw(field.Doc)
		}
	}
	return ""
}

// embeddedName is what a field without a name is called: as its type.
func embeddedName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		return t.Sel.Name
	case *ast.StarExpr:
		return embeddedName(t.X)
	}
	return ""
}

// raw keeps lines that (*ast.CommentGroup).Text would take for directives.
func raw(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var lines []string
	for _, c := range group.List {
		lines = append(lines, strings.TrimPrefix(c.Text, "//"))
	}
	return strings.Join(lines, "\n")
}

// markers are the lines "+name" and "+name=value" of a comment.
func markers(comment string) map[string][]string {
	found := map[string][]string{}
	for line := range strings.SplitSeq(comment, "\n") {
		if mark, ok := strings.CutPrefix(strings.TrimSpace(line), "+"); ok {
			name, value, _ := strings.Cut(mark, "=")
			found[name] = append(found[name], value)
		}
	}
	return found
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// renderFacts writes one message a line.
func renderFacts(facts map[string]Facts) ([]byte, error) {
	var out strings.Builder
	out.WriteString("{\n")
	for i, name := range sortedKeys(facts) {
		line, err := json.Marshal(facts[name])
		if err != nil {
			return nil, err
		}
		comma := ","
		if i == len(facts)-1 {
			comma = ""
		}
		fmt.Fprintf(&out, "%q:%s%s\n", name, line, comma)
	}
	out.WriteString("}\n")
	return []byte(out.String()), nil
}
