import { LinearScanAllocator } from '../../src/versions/linear-scan.js';
import { SegregatedMapAllocator } from '../../src/versions/segregated-map.js';
import { SizeClassAllocator } from '../../src/versions/size-classes.js';
import { allocatorSuite } from '../suites/allocator-suite.js';

allocatorSuite('size-classes', (slabs) => new SizeClassAllocator(slabs));
allocatorSuite('segregated-map', (slabs) => new SegregatedMapAllocator(slabs));
allocatorSuite('linear-scan', (slabs) => new LinearScanAllocator(slabs));
