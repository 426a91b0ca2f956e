// Command controller-cache uses a server as a controller does: controller-runtime's cache with an index of its
// own, reads through the cache and past it, and writes a JSON object a line for each finding.
//
//	{"type":"synced","objects":300}
//	{"type":"indexed","node":"node-1","names":["team-0/pod-000", ...]}      from the cache's index
//	{"type":"selected","node":"node-1","names":[...]}                       from the server, by field selector
//	{"type":"cached"|"live","key":"...","resourceVersion":"..."}            for each key that comes in on stdin
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"listwatch.dev/client-go-test/connect"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
)

type line struct {
	Type            string   `json:"type"`
	Objects         int      `json:"objects,omitempty"`
	Node            string   `json:"node,omitempty"`
	Names           []string `json:"names,omitempty"`
	Key             string   `json:"key,omitempty"`
	ResourceVersion string   `json:"resourceVersion,omitempty"`
}

const nodeIndex = "spec.nodeName"

func main() {
	log.SetFlags(0)
	log.SetPrefix("controller-cache: ")
	crlog.SetLogger(logr.Discard())
	flags := connect.Register()
	flag.Parse()
	config, err := flags.Config("controller-cache")
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	write := func(l line) {
		if err := out.Encode(l); err != nil {
			log.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	cached, err := cache.New(config, cache.Options{Scheme: scheme.Scheme})
	if err != nil {
		log.Fatal(err)
	}
	if err := cached.IndexField(ctx, &corev1.Pod{}, nodeIndex, func(object client.Object) []string {
		return []string{object.(*corev1.Pod).Spec.NodeName}
	}); err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := cached.Start(ctx); err != nil {
			log.Fatal(err)
		}
	}()
	if !cached.WaitForCacheSync(ctx) {
		log.Fatal("the cache did not sync")
	}
	// Two clients, as a manager has them: one that reads from the cache, one that asks the server.
	reader, err := client.New(config, client.Options{Scheme: scheme.Scheme, Cache: &client.CacheOptions{Reader: cached}})
	if err != nil {
		log.Fatal(err)
	}
	live, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		log.Fatal(err)
	}

	var pods corev1.PodList
	if err := reader.List(ctx, &pods); err != nil {
		log.Fatal(err)
	}
	write(line{Type: "synced", Objects: len(pods.Items)})
	nodes := map[string]bool{}
	for _, pod := range pods.Items {
		nodes[pod.Spec.NodeName] = true
	}
	for node := range nodes {
		var indexed corev1.PodList
		if err := reader.List(ctx, &indexed, client.MatchingFields{nodeIndex: node}); err != nil {
			log.Fatal(err)
		}
		write(line{Type: "indexed", Node: node, Names: names(indexed.Items)})
		var selected corev1.PodList
		if err := live.List(ctx, &selected, client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector(nodeIndex, node)}, client.Limit(7)); err != nil {
			log.Fatal(err)
		}
		for token := selected.Continue; token != ""; {
			var page corev1.PodList
			if err := live.List(ctx, &page, client.MatchingFields{nodeIndex: node}, client.Limit(7), client.Continue(token)); err != nil {
				log.Fatal(err)
			}
			selected.Items, token = append(selected.Items, page.Items...), page.Continue
		}
		write(line{Type: "selected", Node: node, Names: names(selected.Items)})
	}

	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		namespace, name, _ := strings.Cut(in.Text(), "/")
		key := types.NamespacedName{Namespace: namespace, Name: name}
		// A second kind of object in the same cache: metadata only, by an informer of its own.
		partial := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
		for _, source := range []struct {
			kind   string
			from   client.Reader
			object client.Object
		}{{"live", live, &corev1.Pod{}}, {"cached", reader, &corev1.Pod{}}, {"metadata", reader, partial}} {
			l := line{Type: source.kind, Key: in.Text()}
			switch err := source.from.Get(ctx, key, source.object); {
			case err == nil:
				l.ResourceVersion = source.object.GetResourceVersion()
			case !apierrors.IsNotFound(err):
				log.Fatal(err)
			}
			write(l)
		}
	}
}

func names(pods []corev1.Pod) []string {
	all := []string{}
	for _, pod := range pods {
		all = append(all, pod.Namespace+"/"+pod.Name)
	}
	slices.Sort(all)
	return all
}
