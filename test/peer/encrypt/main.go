// Command encrypt writes objects into etcd as kube-apiserver does under an EncryptionConfiguration, and says what
// kube-apiserver's own code makes of stored values: both with the transformers of k8s.io/apiserver.
//
// Each line of stdin is a step, each line of stdout its answer:
//
//	{"configuration":"a.yaml","resource":"secrets","put":[{"key":"/registry/secrets/d/s","object":{...}}]}   {"revision":7}
//	{"configuration":"a.yaml","resource":"secrets","read":["/registry/secrets/d/s"]}                        {"values":[{"name":"s"}]}
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
)

type step struct {
	Configuration string   `json:"configuration"`
	Resource      string   `json:"resource"`
	Put           []entry  `json:"put"`
	Read          []string `json:"read"`
}

type entry struct {
	Key    string          `json:"key"`
	Object json.RawMessage `json:"object"`
}

type answer struct {
	Revision int64  `json:"revision,omitempty"`
	Values   []read `json:"values,omitempty"`
}

// read is the name of a stored object, or why it cannot be read.
type read struct {
	Name  string `json:"name,omitempty"`
	Error string `json:"error,omitempty"`
	// Opened: the value was decrypted, but is no object. A wrong key of aescbc, which authenticates nothing, may do so.
	Opened bool `json:"opened,omitempty"`
}

var storage = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)

func (s *step) run(ctx context.Context, etcd *clientv3.Client) (*answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connections to plugins
	loaded, err := encryptionconfig.LoadEncryptionConfig(ctx, s.Configuration, false, "")
	if err != nil {
		return nil, err
	}
	transformer := encryptionconfig.StaticTransformers(loaded.Transformers).TransformerForResource(schema.ParseGroupResource(s.Resource))
	a := &answer{}
	for _, e := range s.Put {
		if a.Revision, err = put(ctx, etcd, transformer, e); err != nil {
			return nil, fmt.Errorf("put %s: %w", e.Key, err)
		}
	}
	for _, key := range s.Read {
		value, err := get(ctx, etcd, transformer, key)
		if err != nil {
			return nil, err
		}
		a.Values = append(a.Values, *value)
	}
	return a, nil
}

func put(ctx context.Context, etcd *clientv3.Client, transformer value.Transformer, e entry) (int64, error) {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(e.Object, nil, nil)
	if err != nil {
		return 0, err
	}
	var encoded bytes.Buffer
	if err := storage.Encode(object, &encoded); err != nil {
		return 0, err
	}
	stored, err := transformer.TransformToStorage(ctx, encoded.Bytes(), value.DefaultContext(e.Key))
	if err != nil {
		return 0, err
	}
	response, err := etcd.Put(ctx, e.Key, string(stored))
	if err != nil {
		return 0, err
	}
	return response.Header.Revision, nil
}

func get(ctx context.Context, etcd *clientv3.Client, transformer value.Transformer, key string) (*read, error) {
	response, err := etcd.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(response.Kvs) != 1 {
		return nil, fmt.Errorf("etcd has %d values of %s", len(response.Kvs), key)
	}
	plain, _, err := transformer.TransformFromStorage(ctx, response.Kvs[0].Value, value.DefaultContext(key))
	if err != nil {
		return &read{Error: err.Error()}, nil
	}
	object, _, err := storage.Decode(plain, nil, nil)
	if err != nil {
		return &read{Error: err.Error(), Opened: true}, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	return &read{Name: accessor.GetName()}, nil
}

func main() {
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "etcd endpoints, comma separated")
	dataKeys := flag.String("data-keys", "", "KMS providers, comma separated, that write with a data key itself, as before Kubernetes 1.29, not with keys derived from a seed")
	klog.InitFlags(nil)
	flag.Parse()
	for _, name := range strings.Split(*dataKeys, ",") {
		if name != "" {
			encryptionconfig.SetKDFForTests(name, false)
		}
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*endpoints, ","), Logger: zap.NewNop()})
	if err == nil {
		err = runAll(context.Background(), etcd)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runAll(ctx context.Context, etcd *clientv3.Client) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return err
		}
		a, err := s.run(ctx, etcd)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Configuration, err)
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}
