package main

import (
	"bytes"
	"fmt"
	"hash/fnv"

	"listwatch.dev/proto-gen/internal/kinds"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

// codec has kube-apiserver's own serializers: that of etcd values, and that of responses.
type codec struct {
	scheme *runtime.Scheme
	stored runtime.Serializer
	json   runtime.Serializer
}

func newCodec() codec {
	s := kinds.NewScheme()
	return codec{s, protobuf.NewSerializer(s, s), json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Strict: true})}
}

type pair struct {
	object       runtime.Object
	stored, json []byte
}

// makePair fills an object until its stored form and its JSON are images of each other.
func (c codec) makePair(gvk schema.GroupVersionKind, f *filler) (pair, error) {
	object, err := c.scheme.New(gvk)
	if err != nil {
		return pair{}, err
	}
	f.fillObject(object)
	object.GetObjectKind().SetGroupVersionKind(gvk)
	p, err := c.encode(gvk, object)
	if err != nil || f.oneWay {
		return p, err
	}
	// What JSON cannot carry (an empty list, HTML characters in raw JSON) is gone after
	// one trip through it; a second trip that changes nothing shows that this was all.
	for range 3 {
		back, err := decode(c.json, gvk, p.json)
		if err != nil {
			return pair{}, fmt.Errorf("its own JSON is refused: %w", err)
		}
		next, err := c.encode(gvk, back)
		if err != nil {
			return pair{}, err
		}
		if bytes.Equal(next.stored, p.stored) && bytes.Equal(next.json, p.json) {
			return next, nil
		}
		p = next
	}
	return pair{}, fmt.Errorf("does not settle")
}

// encode stores an object, and writes as JSON what a reader of the stored bytes gets.
func (c codec) encode(gvk schema.GroupVersionKind, object runtime.Object) (pair, error) {
	stored, err := runtime.Encode(c.stored, object)
	if err != nil {
		return pair{}, err
	}
	read, err := decode(c.stored, gvk, stored)
	if err != nil {
		return pair{}, fmt.Errorf("its own protobuf is refused: %w", err)
	}
	text, err := runtime.Encode(c.json, read)
	return pair{read, stored, bytes.TrimSuffix(text, []byte("\n"))}, err
}

func decode(s runtime.Serializer, gvk schema.GroupVersionKind, data []byte) (runtime.Object, error) {
	object, have, err := s.Decode(data, nil, nil)
	if err != nil {
		return nil, err
	}
	if *have != gvk {
		return nil, fmt.Errorf("decoded as %s", have)
	}
	return object, nil
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
