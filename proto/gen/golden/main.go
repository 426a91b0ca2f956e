// Command golden writes objects of every built-in kind, filled from a seed, as
// pairs of what etcd stores and what Go's JSON encoder makes of it: one JSON
// object a line on stdout, counts on stderr.
//
//	-mode pairs        stored protobuf and JSON, each the exact image of the other
//	-mode one-way      stored protobuf that JSON cannot carry whole (invalid UTF-8, raw JSON
//	                   with spaces, ...): only from stored to JSON
//	-mode json-stored  stored JSON: CustomResourceDefinitions as v1beta1, with the v1 JSON
//	                   that is served, and APIServices
//	-mode quantities   scalars with a text form of their own, as one JSON document
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"

	"listwatch.dev/proto-gen/internal/kinds"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// line is one pair, as written to stdout.
type line struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Key        string `json:"key"`
	Stored     []byte `json:"stored"`
	JSON       string `json:"json"`
}

func main() {
	seed := flag.Uint64("seed", 1, "seed of all random values")
	perKind := flag.Int("per-kind", 3, "pairs of each kind")
	only := flag.String("kinds", "all", "kinds to write, as v1/Pod,apps/v1/Deployment")
	mode := flag.String("mode", "pairs", "pairs, one-way, json-stored or quantities")
	budget := flag.Int("budget", 400, "scalars to set in one object, about")
	coverage := flag.Bool("coverage", false, "list the fields that no object set on stderr")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var err error
	switch *mode {
	case "quantities":
		encoder.SetIndent("", " ")
		err = encoder.Encode(scalars())
	case "json-stored":
		err = writeStoredJSON(encoder, *seed, *perKind, *budget)
	case "pairs", "one-way":
		err = writePairs(encoder, *seed, *perKind, *only, *budget, *mode == "one-way", *coverage)
	default:
		err = fmt.Errorf("unknown mode %q", *mode)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

func writePairs(encoder *json.Encoder, seed uint64, perKind int, only string, budget int, oneWay, coverage bool) error {
	codec := newCodec()
	wanted, err := selectKinds(codec.scheme, only)
	if err != nil {
		return err
	}
	covered := newCovered()
	var empty []string
	for _, gvk := range wanted {
		apiVersion, written := gvk.GroupVersion().String(), 0
		for i := range perKind {
			// A stream of its own for each object: adding a kind does not change the others.
			r := rand.New(rand.NewPCG(seed, hash(fmt.Sprintf("%s/%s/%d/%v", apiVersion, gvk.Kind, i, oneWay))))
			p, err := codec.makePair(gvk, &filler{Rand: r, budget: budget, oneWay: oneWay})
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s/%s: dropped: %v\n", apiVersion, gvk.Kind, err)
				continue
			}
			covered.add(reflect.ValueOf(p.object))
			if err := encoder.Encode(line{apiVersion, gvk.Kind, keyOf(gvk, p.object), p.stored, string(p.json)}); err != nil {
				return err
			}
			written++
		}
		fmt.Fprintf(os.Stderr, "%s/%s %d\n", apiVersion, gvk.Kind, written)
		if written == 0 {
			empty = append(empty, apiVersion+"/"+gvk.Kind)
		}
	}
	covered.report(os.Stderr, coverage)
	if len(empty) > 0 {
		return fmt.Errorf("no pair of %s", strings.Join(empty, ", "))
	}
	return nil
}

// selectKinds lists every kind with a protobuf message but lists of objects,
// and WatchEvent, which is framed in other ways and has no kind in its JSON.
func selectKinds(scheme *runtime.Scheme, only string) ([]schema.GroupVersionKind, error) {
	var wanted, known []string
	if only != "all" {
		wanted = strings.Split(only, ",")
	}
	var gvks []schema.GroupVersionKind
	for gvk, t := range scheme.AllKnownTypes() {
		object := reflect.New(t).Interface()
		_, message := object.(kinds.Message)
		_, list := object.(metav1.ListInterface)
		_, typed := t.FieldByName("TypeMeta")
		if isList := list && strings.HasSuffix(gvk.Kind, "List"); gvk.Version == runtime.APIVersionInternal || !message || isList || !typed ||
			kinds.IsShared(t.PkgPath(), gvk.GroupVersion()) {
			continue
		}
		name := gvk.GroupVersion().String() + "/" + gvk.Kind
		known = append(known, name)
		if only == "all" || slices.Contains(wanted, name) {
			gvks = append(gvks, gvk)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown kind %q", name)
		}
	}
	slices.SortFunc(gvks, func(a, b schema.GroupVersionKind) int {
		return strings.Compare(a.GroupVersion().String()+"/"+a.Kind, b.GroupVersion().String()+"/"+b.Kind)
	})
	return gvks, nil
}
