package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	crdinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	apiserviceinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// storedJSON converts as the server does that owns the kind: what is stored is
// decoded, defaulted and converted to the internal version, and from there to
// the version that is served.
type storedJSON struct {
	storedVersion, servedVersion schema.GroupVersion
	stored, served               runtime.Codec
}

func newStoredJSON(install func(*runtime.Scheme), storedVersion, servedVersion, internal schema.GroupVersion) storedJSON {
	s := runtime.NewScheme()
	install(s)
	factory := serializer.NewCodecFactory(s)
	info, _ := runtime.SerializerInfoForMediaType(factory.SupportedMediaTypes(), runtime.ContentTypeJSON)
	return storedJSON{storedVersion, servedVersion,
		factory.CodecForVersions(info.Serializer, info.Serializer, storedVersion, internal),
		factory.CodecForVersions(info.Serializer, info.Serializer, servedVersion, internal)}
}

func writeStoredJSON(encoder *json.Encoder, seed uint64, perKind, budget int) error {
	crds := newStoredJSON(crdinstall.Install, apiextensionsv1beta1.SchemeGroupVersion, apiextensionsv1.SchemeGroupVersion, apiextensions.SchemeGroupVersion)
	services := newStoredJSON(apiserviceinstall.Install, apiregistrationv1.SchemeGroupVersion, apiregistrationv1.SchemeGroupVersion, apiregistration.SchemeGroupVersion)
	for i := range perKind {
		f := &filler{Rand: rand.New(rand.NewPCG(seed, hash(fmt.Sprint("json-stored ", i)))), budget: budget}
		// Written by a server of today (from v1), or by one that still served v1beta1.
		var crd runtime.Object = f.crd()
		version := crds.served
		if i%2 == 1 {
			crd, version = f.oldCRD(), crds.stored
		}
		if err := crds.write(encoder, "CustomResourceDefinition", crd, version); err != nil {
			return err
		}
		service := &apiregistrationv1.APIService{}
		f.budget = budget
		f.fillObject(service)
		if err := services.write(encoder, "APIService", service, services.served); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "CustomResourceDefinition %d\nAPIService %d\n", perKind, perKind)
	return nil
}

// write stores an object that a client sent in the version of codec, and reads it back.
func (s storedJSON) write(encoder *json.Encoder, kind string, object runtime.Object, sent runtime.Codec) error {
	request, err := runtime.Encode(sent, object)
	if err != nil {
		return err
	}
	internal, err := runtime.Decode(sent, request)
	if err != nil {
		return err
	}
	stored, err := runtime.Encode(s.stored, internal)
	if err != nil {
		return err
	}
	read, err := runtime.Decode(s.stored, stored)
	if err != nil {
		return err
	}
	served, err := runtime.Encode(s.served, read)
	if err != nil {
		return err
	}
	gvk := s.storedVersion.WithKind(kind)
	return encoder.Encode(line{s.storedVersion.String(), kind, keyOf(gvk, read), stored, string(served[:len(served)-1])})
}

// crd mostly has versions that agree in schema, subresources and columns: the
// stored form then has these once, outside the versions.
func (f *filler) crd() *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	f.fillObject(crd)
	crd.Spec.Scope = apiextensionsv1.NamespaceScoped
	for i := len(crd.Spec.Versions) - 1; i >= 0; i-- {
		v := &crd.Spec.Versions[i]
		v.Name = fmt.Sprintf("v%d", i+1)
		if f.chance(0.8) {
			first := crd.Spec.Versions[0]
			v.Schema, v.Subresources, v.AdditionalPrinterColumns, v.SelectableFields = first.Schema, first.Subresources, first.AdditionalPrinterColumns, first.SelectableFields
		}
	}
	return crd
}

// oldCRD has schema, subresources and columns either for all versions or for each.
func (f *filler) oldCRD() *apiextensionsv1beta1.CustomResourceDefinition {
	crd := &apiextensionsv1beta1.CustomResourceDefinition{}
	f.fillObject(crd)
	spec := &crd.Spec
	shared := f.chance(0.6)
	if !shared {
		spec.Validation, spec.Subresources, spec.AdditionalPrinterColumns, spec.SelectableFields = nil, nil, nil, nil
	}
	for i := range spec.Versions {
		v := &spec.Versions[i]
		v.Name = fmt.Sprintf("v%d", i+1)
		if shared {
			v.Schema, v.Subresources, v.AdditionalPrinterColumns, v.SelectableFields = nil, nil, nil, nil
		}
	}
	switch {
	case len(spec.Versions) == 0:
		spec.Version = "v1" // before 1.11 there was only one
	default:
		spec.Version = spec.Versions[0].Name
	}
	return crd
}
