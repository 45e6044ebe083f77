# lws_threadpool.py - pools and tasks in gdb
#
#   lwstp pools          the pools that there are, a line each
#   lwstp pool [POOL]    a pool: its threads, and its tasks by the lists that they
#                        are on; all pools without a POOL
#   lwstp task [TASK]    a task; without a TASK the one whose function, handler or
#                        cleanup the selected thread is in
#   $lwstp_pool(POOL), $lwstp_task(TASK)   the structs, for gdb's own commands:
#                        print $lwstp_task(task)->user
#
# POOL and TASK are expressions.  What the API gives is a handle, no address: it
# names a slot, and which of those that lived there one after the other is meant.
# So a stale one is recognised, and said to be stale.  A pointer to a struct
# lwstp_pool or lwstp_task does as well, and a pool's name.
#
# Live, or in a core.  It needs the debug information of lib/ (-g), and calls
# nothing in the process.  gdb loads it with an installed shared library; with a
# static one, or in a build tree, say
#
#   (gdb) source scripts/gdb/lws_threadpool.py
#
# and if it was installed in another prefix than gdb (/usr/local, say), once, in
# ~/.config/gdb/gdbearlyinit:
#
#   add-auto-load-safe-path /usr/local/share/gdb/auto-load
#   add-auto-load-scripts-directory /usr/local/share/gdb/auto-load
#
# SPDX-License-Identifier: MIT

import time

import gdb

# What is no type in lib/, and so not in the debug information either: the kinds of
# handles and the bits of a word.  test-apps/gdb/check compares them.
CONSTANTS = {
    'LWSTP_TASKS': 1,
    'LWSTP_POOLS': 2,
    'LWSTP_WSIS': 3,
    'LWSTP_KIND_BITS': 2,
    'LWSTP_FIRST_BITS': 3,
    'LWSTP_GENERATION_SHIFT': 34,
    'LWSTP_STATUS': 0x7,
    'LWSTP_FREE': 0x7,
    'LWSTP_STOP': 0x8,
    'LWSTP_DETACHED': 0x10,
    'LWSTP_OUTLIVE': 0x20,
    'LWSTP_PARKED': 0x200,
    'LWSTP_WOKEN': 0x400,
    'LWSTP_TOKEN': 0x800,
    'LWSTP_WAITS': 0x1000,
    'LWSTP_KEPT': 0x2000,
    'LWSTP_REASON_SHIFT': 15,
    'LWSTP_REASON': 0x7 << 15,
    'LWSTP_POOL_FINISHING': 1 << 32,
    'LWSTP_POOL_DRAINING': 1 << 33,
    'LWSTP_POOL_COUNT': 0xffffffff,
}
globals().update(CONSTANTS)

MASK32 = 0xffffffff
KINDS = {LWSTP_TASKS: 'task', LWSTP_POOLS: 'pool', LWSTP_WSIS: 'wsi'}


# --- reading memory ----------------------------------------------------------

def lookup_type(name):
    """A type of lib/, of whichever file has all of it."""
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        raise gdb.GdbError('no %s: the debug information of '
                           'liblws-threadpool is not here' % name)


def struct_at(name, address):
    """The struct of that name at an address."""
    pointer = lookup_type('struct ' + name).pointer()
    return gdb.Value(int(address)).cast(pointer).dereference()


def offset_of(kind, member):
    """Where the member of a struct begins, in bytes; in unnamed ones, too."""
    for field in kind.fields():
        if field.name == member:
            return field.bitpos // 8
        if not field.name:
            found = offset_of(field.type, member)
            if found is not None:
                return field.bitpos // 8 + found
    return None


def linked(first):
    """The structs of one of utlist's lists, from its first one on."""
    name = first.type.unqualified().target().unqualified().name
    address, seen = int(first), set()
    while address and address not in seen:
        seen.add(address)
        struct = struct_at(name, address)
        yield struct
        address = int(struct['next'])
    if address:
        gdb.write('the list at 0x%x goes in a circle\n' % int(first))


def enumerator(name, value, prefix):
    for field in lookup_type('enum ' + name).fields():
        if field.enumval == value:
            return field.name[len(prefix):]
    return str(value)


def quoted(text):
    return '"%s"' % text


def seconds(us):
    return '%.1f s' % (max(us, 0) / 1e6)


def now():
    """The library's clock in us, or None: of a core nobody knows it."""
    connection = gdb.selected_inferior().connection
    if connection is None or connection.type != 'native':
        return None
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


# --- slots and handles ---------------------------------------------------------

class Slots:
    """The slots of a kind (lib/handle.c)."""

    def __init__(self, kind, struct):
        self.kind = kind
        self.type = lookup_type('struct ' + struct)
        try:
            self.slots = gdb.parse_and_eval('lwstp_slots')[kind]
        except gdb.error:
            raise gdb.GdbError('there is no liblws-threadpool in this '
                               'process, or not its debug information')
        if gdb.lookup_type('void').pointer().sizeof > 4:
            self.index_bits = 31
        else:
            self.index_bits = 10 if kind == LWSTP_POOLS else 18

    def used(self):
        return int(self.slots['used'])

    def at(self, index):
        """The struct in that slot, or None if there never was one."""
        if index >= self.used():
            return None
        n = index + (1 << LWSTP_FIRST_BITS)
        highest = n.bit_length() - 1
        chunk = int(self.slots['chunk'][highest - LWSTP_FIRST_BITS])
        place = chunk + (n ^ (1 << highest)) * self.type.sizeof
        return gdb.Value(place).cast(self.type.pointer()).dereference()

    def __iter__(self):
        for index in range(self.used()):
            yield self.at(index)

    def handle(self, struct):
        word = int(struct['slot']['word'])
        return ((word >> LWSTP_GENERATION_SHIFT <<
                 (self.index_bits + LWSTP_KIND_BITS)) |
                int(struct['slot']['index']) << LWSTP_KIND_BITS |
                self.kind)

    def find(self, handle):
        """The struct that a handle names."""
        bits = int(handle) & ((1 << 8 * gdb.lookup_type(
            'void').pointer().sizeof) - 1)
        name = KINDS[self.kind]
        kind = bits & ((1 << LWSTP_KIND_BITS) - 1)
        index = bits >> LWSTP_KIND_BITS & ((1 << self.index_bits) - 1)
        generation = bits >> (self.index_bits + LWSTP_KIND_BITS)
        if kind != self.kind or not generation:
            what = 'no handle'
            if kind in KINDS and generation:
                what = 'the handle of a ' + KINDS[kind]
            raise gdb.GdbError('0x%x is %s, and not that of a %s' %
                               (bits, what, name))
        struct = self.at(index)
        if struct is None:
            raise gdb.GdbError('0x%x: there never was such a %s' %
                               (bits, name))
        found = int(struct['slot']['word']) >> LWSTP_GENERATION_SHIFT
        if found != generation:
            raise gdb.GdbError(
                '0x%x is stale: that %s is gone (it was number %d of slot '
                '%d, where number %d is now, or will be)' %
                (bits, name, generation, index, found))
        return struct

    def named_by(self, value):
        """The struct of a handle, or of a pointer to the struct."""
        kind = value.type.strip_typedefs()
        if kind.code == gdb.TYPE_CODE_PTR and \
           kind.target().unqualified() == self.type.unqualified():
            return value.dereference()
        return self.find(value)


def tasks():
    return Slots(LWSTP_TASKS, 'lwstp_task')


def pools():
    return Slots(LWSTP_POOLS, 'lwstp_pool')


# --- a task ----------------------------------------------------------------------

class Task:
    def __init__(self, struct):
        self.struct = struct
        self.address = int(struct.address)
        self.word = int(struct['slot']['word'])
        self.handle = tasks().handle(struct)

    def has(self, flag):
        return bool(self.word & flag)

    def is_there(self):
        return self.word & LWSTP_STATUS != LWSTP_FREE

    def name(self):
        """What lwstp_name_write() makes of it."""
        name = self.struct['name']
        conversion = int(name['conversion'])
        if not conversion:
            return name['text'].string(errors='replace')
        text = name['format'].string(errors='replace')
        before, _, after = text.partition('%')
        number = int(name['number'])
        if chr(conversion) in 'ux':
            number &= MASK32
        return '%s%s%s' % (before, ('%x' if chr(conversion) == 'x' else
                                    '%d') % number, after[1:])

    def status(self):
        status = enumerator('lws_threadpool_task_status',
                            self.word & LWSTP_STATUS, 'LWS_TP_STATUS_')
        if self.has(LWSTP_PARKED):
            status += ', parked'
        if self.has(LWSTP_WAITS) and status == 'SYNCING':
            status += ', waits for a wsi'
        if self.has(LWSTP_STOP):
            status += ', asked to stop'
        return status

    def why(self):
        reason = (self.word & LWSTP_REASON) >> LWSTP_REASON_SHIFT
        return enumerator('lws_threadpool_stop', reason, 'LWS_TP_STOP_')

    def on(self):
        if self.has(LWSTP_DETACHED):
            return 'no wsi'
        return '%s 0x%x' % ('ss' if bool(self.struct['is_on_ss']) else 'wsi',
                            int(self.struct['target']))

    def line(self):
        """One of a list."""
        at = now()
        state = '' if at is None else ' for ' + seconds(
            at - int(self.struct['since']))
        return '0x%x %s %s, %s%s' % (self.handle, quoted(self.name()),
                                     self.status(), self.on(), state)

    def extra_lines(self):
        if not int(self.struct['extra']):
            return
        extra = struct_at('lwstp_extra', self.struct['extra'])
        if int(extra['key']):
            key = struct_at('lwstp_key', extra['key'])
            yield 'key', '0x%x: %d of its tasks started, of %d' % (
                int(key['entry']['key']), int(key['active']),
                int(key['tasks'])) + (
                    ', held back' if bool(extra['is_held']) else '')
        if bool(extra['handled']):
            yield 'on_sync', symbol(extra['on_sync'])
            yield 'on_end', symbol(extra['on_end'])
        for limit in ('queue_until', 'life_until'):
            if int(extra[limit]) and now() is not None:
                yield limit, 'in ' + seconds(int(extra[limit]) - now())

    def lines(self):
        pool = Pool(struct_at('lwstp_pool', self.struct['pool']))
        yield 'status', self.status()
        if self.why() != 'NONE':
            yield 'reason', self.why()
        at = now()
        if at is not None:
            yield 'since', '%s, enqueued %s ago' % (
                seconds(at - int(self.struct['since'])),
                seconds(at - int(self.struct['born'])))
        yield 'pool', '0x%x %s' % (pool.handle, quoted(pool.name()))
        for worker in pool.workers():
            if int(worker['task']) == self.address:
                yield 'thread', thread_of(worker)
        yield 'attached', self.on() + (
            '; it outlives that' if self.has(LWSTP_OUTLIVE) else '')
        if self.has(LWSTP_TOKEN):
            yield 'token', 'it has one' + (
                ', and is kept' if self.has(LWSTP_KEPT) else '')
        if self.has(LWSTP_WOKEN):
            yield 'woken', 'its next park is a yield'
        yield 'function', symbol(self.struct['task'])
        yield 'cleanup', symbol(self.struct['cleanup'])
        yield 'user', '0x%x' % int(self.struct['user'])
        yield from self.extra_lines()
        yield 'struct', '(struct lwstp_task *) 0x%x' % self.address


def tasks_of(first):
    """The tasks of a list."""
    return [Task(struct) for struct in linked(first)]


def symbol(function):
    """A function's address and name, as gdb has it."""
    if not int(function):
        return 'none'
    return gdb.Value(int(function)).cast(
        gdb.lookup_type('void').pointer()).format_string(symbols=True)


# --- a pool ------------------------------------------------------------------------

def thread_of(worker):
    """A thread of a pool, and what gdb calls it."""
    name = str(int(worker['index']))
    try:
        thread = gdb.selected_inferior().thread_from_handle(worker['thread'])
    except (gdb.error, RuntimeError):	# of a core, without its libc
        thread = None
    if thread is not None and thread.is_valid():
        name += " (gdb's thread %d, LWP %d)" % (thread.num, thread.ptid[1])
    return name


class Pool:
    def __init__(self, struct):
        self.struct = struct
        self.address = int(struct.address)
        self.word = int(struct['slot']['word'])
        self.handle = pools().handle(struct)

    def is_there(self):
        return bool(self.struct['ready']) and bool(self.struct['exists'])

    def name(self):
        return self.struct['name'].string(errors='replace')

    def workers(self):
        if int(self.struct['workers']):
            first = struct_at('lwstp_worker', self.struct['workers']).address
            for n in range(int(self.struct['indexes'])):
                yield (first + n).dereference()

    def title(self):
        waiting = (self.word - int(self.struct['taken'])) & LWSTP_POOL_COUNT
        text = 'pool 0x%x %s: threads %d, waiting %d of %d' % (
            self.handle, quoted(self.name()), int(self.struct['threads']),
            waiting, int(self.struct['max_queue_depth']))
        for flag, word in ((LWSTP_POOL_DRAINING, ', draining'),
                           (LWSTP_POOL_FINISHING, ', finishing')):
            text += word if self.word & flag else ''
        return text

    def incoming(self):
        """The inbox, oldest first: those that no list has yet."""
        kind = lookup_type('struct lwstp_task')
        put, found = offset_of(kind, 'put'), []
        post = int(self.struct['inbox']['newest'])
        while post and post not in found:
            found.append(post)
            post = int(struct_at('lwstp_post', post)['next'])
        tasks_there = [Task(struct_at('lwstp_task', post - put))
                       for post in reversed(found)]
        return ([t for t in tasks_there if t.status() == 'QUEUED'],
                [t for t in tasks_there if t.status() != 'QUEUED'])

    def on_lists(self):
        """The lists in the order of a task's life, with the tasks of each."""
        s = self.struct
        new, resumed = self.incoming()
        for worker in self.workers():
            resumed = tasks_of(worker['resumed']) + resumed
        return {
            'queued': tasks_of(s['released']) + tasks_of(s['queued']) + new,
            'held back': [t for key in linked(s['holding'])
                          for t in tasks_of(key['held'])],
            'running': [Task(w['task'].dereference()) for w in self.workers()
                        if int(w['task']) and not bool(w['is_left'])],
            'resumed': tasks_of(s['resumed']) + resumed,
            'parked': [],
            'syncing': [],
            'done': tasks_of(s['done']),
            'kept': tasks_of(s['kept']),
            'between two lists': [],
        }

    def by_list(self):
        """The same, and those that are on no list: their words tell."""
        found = self.on_lists()
        known = {t.address for listed in found.values() for t in listed}
        for struct in tasks():
            task = Task(struct)
            if int(struct['pool']) != self.address or \
               task.address in known or not task.is_there():
                continue
            if task.has(LWSTP_PARKED):
                found['parked'].append(task)
            elif task.status().startswith('SYNCING'):
                found['syncing'].append(task)
            else:
                found['between two lists'].append(task)
        return found

    def print_threads(self):
        if any(True for _ in self.workers()):
            gdb.write('  threads\n')
        for worker in self.workers():
            what = 'idle'
            if bool(worker['cleaning']):
                what = 'in a cleanup'
            elif int(worker['task']) and not bool(worker['is_left']):
                task = Task(worker['task'].dereference())
                what = 'in 0x%x %s' % (task.handle, quoted(task.name()))
            gdb.write('    %s %s\n' % (thread_of(worker), what))

    def print_all(self):
        gdb.write(self.title() + '\n')
        self.print_threads()
        for name, found in self.by_list().items():
            if found:
                gdb.write('  %s: %d\n' % (name, len(found)))
            for task in found:
                gdb.write('    %s\n' % task.line())
        gdb.write('  (struct lwstp_pool *) 0x%x\n' % self.address)


def all_pools():
    for struct in pools():
        pool = Pool(struct)
        if pool.is_there():
            yield pool


def pool_of(argument):
    """Of a pool's name, or of an expression."""
    for pool in all_pools():
        if argument == pool.name():
            return pool
    return Pool(pools().named_by(gdb.parse_and_eval(argument)))


# --- the commands --------------------------------------------------------------------

class Lwstp(gdb.Command):
    """Pools and tasks of lws-threadpool."""

    def __init__(self):
        super().__init__('lwstp', gdb.COMMAND_DATA, prefix=True)


class LwstpPools(gdb.Command):
    """The pools that there are.
Usage: lwstp pools"""

    def __init__(self):
        super().__init__('lwstp pools', gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        found = list(all_pools())
        for pool in found:
            gdb.write(pool.title() + '\n')
        if not found:
            gdb.write('no pools\n')


class LwstpPool(gdb.Command):
    """A pool: its threads, and its tasks by the lists that they are on.
Usage: lwstp pool [POOL]
POOL is a handle (struct lws_threadpool *), a struct lwstp_pool * or a name.
Without it: all pools."""

    def __init__(self):
        super().__init__('lwstp pool', gdb.COMMAND_DATA,
                         gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if argument:
            pool_of(argument).print_all()
            return
        found = list(all_pools())
        for pool in found:
            pool.print_all()
        if not found:
            gdb.write('no pools\n')


class LwstpTask(gdb.Command):
    """A task.
Usage: lwstp task [TASK]
TASK is a handle (struct lws_threadpool_task *) or a struct lwstp_task *.
Without it: the one whose function, handler or cleanup this thread is in."""

    def __init__(self):
        super().__init__('lwstp task', gdb.COMMAND_DATA,
                         gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if argument:
            value = gdb.parse_and_eval(argument)
        else:
            frame = gdb.parse_and_eval('lwstp_frame')
            if not int(frame) or not int(frame['task']):
                raise gdb.GdbError('this thread is in no task')
            value = frame['task']
        task = Task(tasks().named_by(value))
        if not task.is_there():
            gdb.write('task 0x%x: not there (yet, or any more)\n' %
                      task.handle)
            return
        gdb.write('task 0x%x %s\n' % (task.handle, quoted(task.name())))
        for what, text in task.lines():
            gdb.write('  %-9s %s\n' % (what, text))


class LwstpPoolFunction(gdb.Function):
    """The struct lwstp_pool * of a pool's handle."""

    def __init__(self):
        super().__init__('lwstp_pool')

    def invoke(self, handle):
        return pools().named_by(handle).address


class LwstpTaskFunction(gdb.Function):
    """The struct lwstp_task * of a task's handle."""

    def __init__(self):
        super().__init__('lwstp_task')

    def invoke(self, handle):
        return tasks().named_by(handle).address


for command in (Lwstp, LwstpPools, LwstpPool, LwstpTask, LwstpPoolFunction,
                LwstpTaskFunction):
    command()
