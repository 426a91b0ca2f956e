package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"listwatch.dev/client-go-test/digest"
	"listwatch.dev/client-go-test/spec"
)

// stored is what etcd has under a key, as a client is to get it.
type stored struct {
	object          runtime.Object
	labels          labels.Set
	fields          fields.Set
	namespace, name string
}

func decode(value []byte, modRevision int64) *stored {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	m := object.(metav1.Object)
	m.SetResourceVersion(strconv.FormatInt(modRevision, 10))
	s := &stored{object, m.GetLabels(), fields.Set{"metadata.name": m.GetName(), "metadata.namespace": m.GetNamespace()}, m.GetNamespace(), m.GetName()}
	if pod, ok := object.(*corev1.Pod); ok { // the fields that kube-apiserver selects pods by, as far as these tests go
		s.fields["spec.nodeName"] = pod.Spec.NodeName
		s.fields["spec.serviceAccountName"] = pod.Spec.ServiceAccountName
		s.fields["status.phase"] = string(pod.Status.Phase)
	}
	return s
}

// at is the same content at another revision: what a DELETED event carries.
func (s *stored) at(revision int64) *stored {
	copied := *s
	copied.object = s.object.DeepCopyObject()
	copied.object.(metav1.Object).SetResourceVersion(strconv.FormatInt(revision, 10))
	return &copied
}

// line is how what a client got is written: by watchers for events, by pager for objects.
func (s *stored) digestFor(client string) string {
	if client == "metadata" {
		return digest.Metadata(s.object)
	}
	return digest.Whole(s.object)
}

// filter is one watcher's view.
type filter struct {
	spec.Watcher
	labels labels.Selector
	fields fields.Selector
	log    *spec.Log
}

func (f *filter) matches(s *stored) bool {
	return s != nil && (f.Namespace == "" || f.Namespace == s.namespace) && f.labels.Matches(s.labels) && f.fields.Matches(s.fields)
}

// expectation turns etcd's changes into the events that each watcher must see, by the rule that the API documents:
//
//	old matches   new matches   event      content
//	no, absent    yes           ADDED      new
//	yes           yes           MODIFIED   new
//	yes           no, deleted   DELETED    old, at the revision of this change
//	no            no, deleted   none
type expectation struct {
	filters []*filter
}

func newExpectation(file, dir, prefix string) *expectation {
	watchers, err := spec.Read(file)
	if err != nil {
		log.Fatal(err)
	}
	e := &expectation{}
	for _, w := range watchers {
		f := &filter{Watcher: w}
		if f.labels, err = labels.Parse(w.LabelSelector); err != nil {
			log.Fatal(err)
		}
		if f.fields, err = fields.ParseSelector(w.FieldSelector); err != nil {
			log.Fatal(err)
		}
		if f.log, err = spec.OpenLog(dir, w.Name); err != nil {
			log.Fatal(err)
		}
		e.filters = append(e.filters, f)
	}
	return e
}

func (e *expectation) add(change *clientv3.Event) {
	revision := change.Kv.ModRevision
	var old, now *stored
	if change.PrevKv != nil {
		old = decode(change.PrevKv.Value, change.PrevKv.ModRevision)
	} else if !change.IsCreate() {
		log.Fatalf("%s at %d: etcd has no previous value", change.Kv.Key, revision) // compacted: nothing can be expected
	}
	if change.Type == clientv3.EventTypePut {
		now = decode(change.Kv.Value, revision)
	}
	var deleted *stored
	digests := map[[2]string]string{} // by the event and the client's kind; watchers share them
	for _, f := range e.filters {
		eventType, content := "", now
		switch was, is := f.matches(old), f.matches(now); {
		case is && !was:
			eventType = "ADDED"
		case is && was:
			eventType = "MODIFIED"
		case was:
			if deleted == nil {
				deleted = old.at(revision)
			}
			eventType, content = "DELETED", deleted
		default:
			continue
		}
		key := [2]string{f.Client, strconv.FormatBool(content == deleted)}
		if digests[key] == "" {
			digests[key] = content.digestFor(f.Client)
		}
		f.log.Event(eventType, content.namespace+"/"+content.name, strconv.FormatInt(revision, 10), digests[key])
	}
}

func (e *expectation) close() {
	for _, f := range e.filters {
		if err := f.log.Close(); err != nil {
			log.Fatal(err)
		}
	}
}

// writeState writes {"key","modRevision","digest"} for each key that existed at a revision, in order.
func writeState(ctx context.Context, client *clientv3.Client, prefix string, revision int64) {
	answer, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(revision))
	if err != nil {
		log.Fatal(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	for _, kv := range answer.Kvs {
		if err := encoder.Encode(map[string]any{"key": strings.TrimPrefix(string(kv.Key), prefix), "modRevision": fmt.Sprint(kv.ModRevision),
			"digest": decode(kv.Value, kv.ModRevision).digestFor("typed")}); err != nil {
			log.Fatal(err)
		}
	}
}
