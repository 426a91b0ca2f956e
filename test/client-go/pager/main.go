// Command pager lists pods page by page through client-go's pager, as `kubectl get --chunk-size` and reflectors
// without streaming lists do, several times, and writes a JSON object a line:
//
//	{"type":"page", "set":0, "resourceVersion":"...", "items":25, "remaining":75, "continue":true}
//	{"type":"object", "set":0, "key":"team-0/pod-000", "modRevision":"...", "digest":"..."}
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"
	"listwatch.dev/client-go-test/connect"
	"listwatch.dev/client-go-test/digest"
)

type line struct {
	Type            string `json:"type"`
	Set             int    `json:"set"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Items           int    `json:"items,omitempty"`
	Remaining       *int64 `json:"remaining,omitempty"`
	Continue        bool   `json:"continue,omitempty"`
	Key             string `json:"key,omitempty"`
	ModRevision     string `json:"modRevision,omitempty"`
	Digest          string `json:"digest,omitempty"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("pager: ")
	flags := connect.Register()
	namespace := flag.String("namespace", "", "one namespace only")
	pageSize := flag.Int64("page-size", 25, "objects a page")
	sets := flag.Int("sets", 10, "how many lists")
	pause := flag.Duration("pause", 10*time.Millisecond, "between pages, so that the set changes")
	resourceVersion := flag.String("resource-version", "", "of the first page")
	match := flag.String("resource-version-match", "", "of the first page")
	flag.Parse()
	config, err := flags.Config("pager")
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
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
	for set := range *sets {
		pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := client.CoreV1().Pods(*namespace).List(ctx, options)
			if err != nil {
				return nil, err
			}
			write(line{Type: "page", Set: set, ResourceVersion: list.ResourceVersion, Items: len(list.Items), Remaining: list.RemainingItemCount, Continue: list.Continue != ""})
			time.Sleep(*pause)
			return list, nil
		})
		pages.PageSize, pages.FullListIfExpired = *pageSize, false
		options := metav1.ListOptions{ResourceVersion: *resourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatch(*match)}
		list, paginated, err := pages.List(ctx, options)
		if err != nil {
			log.Fatal(err)
		}
		if !paginated {
			log.Fatal("all objects came at once")
		}
		if err := meta.EachListItem(list, func(object runtime.Object) error {
			m, err := meta.Accessor(object)
			if err != nil {
				return err
			}
			write(line{Type: "object", Set: set, Key: m.GetNamespace() + "/" + m.GetName(), ModRevision: m.GetResourceVersion(), Digest: digest.Whole(object)})
			return nil
		}); err != nil {
			log.Fatal(err)
		}
	}
}
