// Command published prints the OpenAPI definitions that Kubernetes publishes for
// the types of meta/v1, apiextensions and apiregistration: those whose generated
// definitions are in public modules. In JSON, by name, without descriptions.
//
//	published gnostic v2|v3 DOCUMENT.json DOCUMENT.pb
//
// reads a document in both encodings with gnostic, and fails unless they say the same.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	extensions "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	aggregator "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

func main() {
	run := definitions
	if len(os.Args) == 5 && os.Args[1] == "gnostic" {
		run = func() error { return sameDocument(os.Args[2], os.Args[3], os.Args[4]) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "published:", err)
		os.Exit(1)
	}
}

func definitions() error {
	ref := func(name string) spec.Ref { return spec.MustCreateRef("#/components/schemas/" + name) }
	found := map[string]any{}
	for _, definitions := range []map[string]common.OpenAPIDefinition{extensions.GetOpenAPIDefinitions(ref), aggregator.GetOpenAPIDefinitions(ref)} {
		for name, definition := range definitions {
			text, err := json.Marshal(definition.Schema)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			var schema any
			if err := json.Unmarshal(text, &schema); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			found[name] = undescribed(schema)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// document is what both versions of gnostic's Document have.
type document interface {
	proto.Message
	ToRawInfo() *yaml.Node
}

func sameDocument(version, jsonFile, protobufFile string) error {
	text, err := os.ReadFile(jsonFile)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(protobufFile)
	if err != nil {
		return err
	}
	var parsed, decoded document
	if version == "v2" {
		decoded = &openapi_v2.Document{}
		parsed, err = openapi_v2.ParseDocument(text)
	} else {
		decoded = &openapi_v3.Document{}
		parsed, err = openapi_v3.ParseDocument(text)
	}
	if err != nil {
		return fmt.Errorf("gnostic does not take the JSON: %w", err)
	}
	if err := proto.Unmarshal(binary, decoded); err != nil {
		return err
	}
	if size := proto.Size(decoded); len(decoded.ProtoReflect().GetUnknown()) > 0 || size != len(binary) {
		return fmt.Errorf("%d bytes are written, gnostic would write %d of them", len(binary), size)
	}
	want, err := lines(parsed)
	if err != nil {
		return err
	}
	got, err := lines(decoded)
	if err != nil {
		return err
	}
	for i := range want {
		if i >= len(got) || !bytes.Equal(got[i], want[i]) {
			return fmt.Errorf("line %d of %d is %s, want %s", i, len(want), got[min(i, len(got)-1)], want[i])
		}
	}
	fmt.Println(len(want), "lines are the same")
	return nil
}

// lines is the document in one form, whatever quotes its values were written with.
func lines(d document) ([][]byte, error) {
	var value any
	if err := d.ToRawInfo().Decode(&value); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(value, "", " ")
	return bytes.Split(text, []byte("\n")), err
}

// undescribed leaves descriptions out, which are texts and not properties of that name.
func undescribed(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, of := range value {
			if _, isText := of.(string); isText && name == "description" {
				delete(value, name)
			} else {
				value[name] = undescribed(of)
			}
		}
	case []any:
		for i, of := range value {
			value[i] = undescribed(of)
		}
	}
	return value
}
