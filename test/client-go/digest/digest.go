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
	if u, ok := object.(*unstructured.Unstructured); ok {
		if typed, err := scheme.Scheme.New(u.GroupVersionKind()); err == nil {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, typed, true); err != nil {
				return "unreadable: " + err.Error()
			}
			object = typed
		}
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
	accessor := object.(metav1.ObjectMetaAccessor).GetObjectMeta()
	return of(accessor)
}

func of(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "unprintable: " + err.Error()
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
