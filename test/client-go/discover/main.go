// Command discover shows a server's API as client-go's discovery clients see it: one JSON object a line on stdout.
//
//	{"type":"request", ...}    every request, so that what was negotiated shows
//	{"type":"resources", ...}  all resources, by the legacy and by the aggregated documents
//	{"type":"openapi", ...}    with -openapi: what gnostic and client-go's OpenAPI v3 client have read
//	{"type":"mapping", ...}    with -map: one answer for each line `group kind` of stdin; `reset` forgets all
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/disk"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/kube-openapi/pkg/spec3"
	"listwatch.dev/client-go-test/connect"
)

var out = json.NewEncoder(os.Stdout)

func write(value map[string]any) {
	if err := out.Encode(value); err != nil {
		log.Fatal(err) // nobody reads any more
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("discover: ")
	connection := connect.Register()
	maps := flag.Bool("map", false, "answer stdin with a deferred REST mapper")
	withOpenAPI := flag.Bool("openapi", false, "read OpenAPI v2 and every path of v3")
	diskCache := flag.String("disk-cache", "", "a folder: read through client-go's cache on disk, twice")
	flag.Parse()
	out.SetEscapeHTML(false)
	config, err := connection.Config("discover")
	if err != nil {
		log.Fatal(err)
	}
	config.Wrap(recorded)
	switch {
	case *maps:
		answerMappings(config)
	case *diskCache != "":
		for round := 0; round < 2; round++ {
			cached, err := disk.NewCachedDiscoveryClientForConfig(config, *diskCache+"/discovery", *diskCache+"/http", 0)
			if err != nil {
				log.Fatal(err)
			}
			showResources("cached", cached)
		}
	default:
		plain, err := discovery.NewDiscoveryClientForConfig(config)
		if err != nil {
			log.Fatal(err)
		}
		showResources("aggregated", plain)
		legacy := *plain
		legacy.UseLegacyDiscovery = true
		showResources("legacy", &legacy)
		if *withOpenAPI {
			showOpenAPI(plain)
		}
	}
}

// recorded shows each request.
func recorded(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(req)
		if err == nil {
			write(map[string]any{
				"type": "request", "path": req.URL.Path, "status": res.StatusCode, "contentType": res.Header.Get("Content-Type"),
				"ifNoneMatch": req.Header.Get("If-None-Match"),
			})
		}
		return res, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// showResources writes every group in the server's order, and every resource but for what only one of the forms has.
func showResources(how string, from discovery.DiscoveryInterface) {
	groups, lists, err := from.ServerGroupsAndResources()
	if err != nil {
		log.Fatalf("%s: %v", how, err)
	}
	names, resources := []string{}, []string{}
	for _, group := range groups {
		for _, version := range group.Versions {
			preferred := ""
			if version == group.PreferredVersion {
				preferred = " preferred"
			}
			names = append(names, version.GroupVersion+preferred)
		}
	}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			resource.StorageVersionHash = "" // the aggregated form has none
			if strings.Contains(resource.Name, "/") {
				resource.SingularName = ""
			}
			// Absent means: of the list's own group and version. The aggregated form always says it.
			if resource.Group == "" && resource.Version == "" {
				parsed, err := schema.ParseGroupVersion(list.GroupVersion)
				if err != nil {
					log.Fatal(err)
				}
				resource.Group, resource.Version = parsed.Group, parsed.Version
			}
			text, err := json.Marshal(resource)
			if err != nil {
				log.Fatal(err)
			}
			resources = append(resources, list.GroupVersion+" "+string(text))
		}
	}
	slices.Sort(resources)
	write(map[string]any{"type": "resources", "how": how, "groupVersions": names, "resources": resources})
}

func showOpenAPI(from *discovery.DiscoveryClient) {
	document, err := from.OpenAPISchema()
	if err != nil {
		log.Fatalf("OpenAPI v2 by gnostic: %v", err)
	}
	definitions := []string{}
	for _, definition := range document.Definitions.AdditionalProperties {
		definitions = append(definitions, definition.Name)
	}
	write(map[string]any{"type": "openapi", "path": "v2", "paths": len(document.Paths.Path), "schemas": definitions})
	paths, err := from.OpenAPIV3().Paths()
	if err != nil {
		log.Fatalf("OpenAPI v3: %v", err)
	}
	for path, at := range paths {
		write(map[string]any{"type": "openapi", "path": path, "paths": pathsOf(path, at), "schemas": schemasOf(path, at), "protobuf": protobufOf(path, at)})
	}
}

func v3(path string, at openapi.GroupVersion) spec3.OpenAPI {
	text, err := at.Schema(runtime.ContentTypeJSON)
	if err != nil {
		log.Fatalf("OpenAPI v3 of %s: %v", path, err)
	}
	var document spec3.OpenAPI
	if err := json.Unmarshal(text, &document); err != nil {
		log.Fatalf("OpenAPI v3 of %s: %v", path, err)
	}
	return document
}

func pathsOf(path string, at openapi.GroupVersion) int {
	document := v3(path, at)
	if document.Paths == nil {
		return 0
	}
	return len(document.Paths.Paths)
}

func schemasOf(path string, at openapi.GroupVersion) []string {
	names := []string{}
	document := v3(path, at)
	if document.Components != nil {
		for name := range document.Components.Schemas {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// protobufOf is the length of the other form, as clients of gnostic ask for it.
func protobufOf(path string, at openapi.GroupVersion) int {
	bytes, err := at.Schema(openapi.ContentTypeOpenAPIV3PB)
	if err != nil {
		log.Fatalf("OpenAPI v3 of %s as protobuf: %v", path, err)
	}
	return len(bytes)
}

func answerMappings(config *rest.Config) {
	plain, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(plain))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		group, kind, _ := strings.Cut(lines.Text(), " ")
		if group == "reset" {
			mapper.Reset()
			continue
		}
		mapping, err := mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind})
		if err != nil {
			write(map[string]any{"type": "mapping", "error": err.Error()})
			continue
		}
		write(map[string]any{"type": "mapping", "resource": mapping.Resource.String(), "scope": string(mapping.Scope.Name())})
	}
}
