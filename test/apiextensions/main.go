// Command apiextensions serves CustomResourceDefinitions and what they define, made of k8s.io/apiextensions-apiserver's
// own parts, read and write, over TLS, to everybody. It watches through its loopback client and needs no other server.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("apiextensions: ")
	etcd := flag.String("etcd", "", "endpoints of etcd, joined by commas")
	prefix := flag.String("prefix", "/registry", "of all keys")
	port := flag.Int("tls-port", 0, "port on loopback")
	tokens := flag.String("token-auth-file", "", "who may ask: the group system:masters everything, others nothing; absent: everybody everything")
	flag.Parse()
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	recommended := o.RecommendedOptions
	recommended.Etcd.StorageConfig.Transport.ServerList = strings.Split(*etcd, ",")
	recommended.Etcd.StorageConfig.Prefix = *prefix
	recommended.SecureServing.BindAddress = net.IPv4(127, 0, 0, 1)
	recommended.SecureServing.BindPort = *port
	recommended.SecureServing.ServerCert.CertDirectory = ""
	if err := run(o, *tokens); err != nil {
		log.Fatal(err)
	}
}

func run(o *options.CustomResourceDefinitionsServerOptions, tokens string) error {
	if err := o.Complete(); err != nil {
		return err
	}
	recommended := o.RecommendedOptions
	if err := recommended.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
		return err
	}
	config := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
	if err := o.ServerRunOptions.ApplyTo(&config.Config); err != nil {
		return err
	}
	if err := recommended.Etcd.ApplyTo(&config.Config); err != nil {
		return err
	}
	if err := recommended.SecureServing.ApplyTo(&config.SecureServing, &config.LoopbackClientConfig); err != nil {
		return err
	}
	if err := o.APIEnablement.ApplyTo(&config.Config, apiserver.DefaultAPIResourceConfigSource(), apiserver.Scheme); err != nil {
		return err
	}
	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generatedopenapi.GetOpenAPIDefinitions)
	namer := openapinamer.NewDefinitionNamer(apiserver.Scheme, scheme.Scheme)
	// Without the first of them it publishes no schemas of CRDs at all.
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	config.Authentication.Authenticator = authenticator.Request(anonymous.NewAuthenticator(nil))
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()
	if tokens != "" {
		known, err := tokenfile.NewCSV(tokens)
		if err != nil {
			return err
		}
		// In the order of kube-apiserver: a bad token is not anonymous.
		bearers := group.NewAuthenticatedGroupAdder(bearertoken.New(known))
		config.Authentication.Authenticator = union.NewFailOnError(bearers, anonymous.NewAuthenticator(nil))
		config.Authorization.Authorizer = authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)
	}
	client, err := kubernetes.NewForConfig(config.LoopbackClientConfig)
	if err != nil {
		return err
	}
	// Only the services of webhooks would be looked up in it, and there are none.
	config.SharedInformerFactory = informers.NewSharedInformerFactory(client, 0)
	complete := (&apiserver.Config{
		GenericConfig: config,
		ExtraConfig: apiserver.ExtraConfig{
			CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(*recommended.Etcd, config.ResourceTransformers, config.StorageObjectCountTracker),
		},
	}).Complete()
	server, err := complete.New(genericapiserver.NewEmptyDelegate())
	if err != nil {
		return err
	}
	return server.GenericAPIServer.PrepareRun().RunWithContext(genericapiserver.SetupSignalContext())
}
