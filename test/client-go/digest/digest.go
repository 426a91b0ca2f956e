// Package digest makes objects comparable whatever client they came through.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// Whole is that of the object's JSON without kind and apiVersion, which objects in a store may or may not have.
// An unstructured object of a built-in kind has the digest of its typed form.
func Whole(object runtime.Object) string {
	object, err := typed(object)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	kind := object.GetObjectKind().GroupVersionKind()
	if !kind.Empty() {
		object = object.DeepCopyObject()
		object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	return of(object)
}

// Metadata is that of the object's metadata alone: the same for a PartialObjectMetadata and the object itself.
func Metadata(object runtime.Object) string {
	if partial, ok := object.(*metav1.PartialObjectMetadata); ok {
		return of(partial.ObjectMeta)
	}
	object, err := typed(object)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	return of(object.(metav1.ObjectMetaAccessor).GetObjectMeta())
}

// typed is the object itself, or of an unstructured one the built-in kind; a member that the kind lacks is an error.
func typed(object runtime.Object) (runtime.Object, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	into, err := scheme.Scheme.New(u.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	return into, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, into, true)
}

func of(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "unprintable: " + err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
