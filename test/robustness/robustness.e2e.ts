// The real binary on a real etcd, and everything that can go wrong around it. Each part starts its own pair.
import './stored-values.js';
import './bad-requests.js';
import './trespass.js';
import './secrets.js';
import './floods.js';
import './idle-connections.js';
import './outages.js';
import './leaks.js';
import './memory.js';
import './resting.js';
