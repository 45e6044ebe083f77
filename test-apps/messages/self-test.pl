# A made-up tree, and what is to be said of it when something in it changes: see
# check
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;

my %made_up = (c => <<'END', cmake => <<'END2', text => <<'END3');
static const struct lwstp_refusal full = {
	LWSTP_REFUSED_FULL, LWS_TP_REFUSED_QUEUE_FULL, LLL_WARN,
	"the queue is "
	"full"
};
void
lwstp_log(int level, const char *format, ...);
void
lws_threadpool_f(int n, const char *caller)
{
	lwstp_log(LLL_ERR, "%s: n is %d, not %d "
		  "to \"%s\"\n", __func__, n, 1, n ? "one" : "more");
	lwstp_log(LLL_INFO, "%s: stale: %p\n", caller, (void *)g(n, n));
	lwstp_log(why->level, "%s refuses: %s%s%s\n", __func__,
		  LWSTP_WHY(why));
	g(n, "no lwsl_err() here");
	lws_snprintf(text, 8, "options->n is %d", n);
	lwstp_log(LLL_ERR, "%s: %s\n", me, text);
}
#error "it is not so"
struct lwstp_refusal option = {
	LWSTP_REFUSED_OPTIONS, LWS_TP_REFUSED_ARGS, LLL_ERR, text
};
END
# message(FATAL_ERROR "no")
if(A)
	message(WARNING "there is no "
		"${A}")
endif()
fail("${B} failed")
message(FATAL_ERROR "me: " ${ARGN})
END2
Here: no lwsl_err() here.

- `lws_threadpool_f: n is <n>, not 1 to "<one or more>"` (ERR)

  What it means, and what to do about it.

- `<function>: stale:
  <handle>` (INFO): what it means, and what to do about it.
- `lws_threadpool_f refuses: <reason>` (ERR or WARN): for one of these reasons,
  which are explained.
- `the queue is full` (WARN, QUEUE_FULL), or
  `options->n is <n>` (ERR, ARGS)

  What it means, and what to do about it.

- `lws_threadpool_create: options->n is <n>` (ERR): as it is
  for the one before.
- `it is not so` (compiler error): what it means, and what to do about it.
- `there is no <thing>` (CMake warning), or `me: <what> failed` (CMake error):
  what it means, and what to do.

```
[2026/11/29 12:00:00:0000] I: lws_threadpool_g: stale: 0x12
- `no entry` (ERR)
```
END3

my ($good, $bad) = (0, 0);

# changed(PLACE, FROM, TO, WANT...): what is said of the made-up tree, changed
sub changed
{
	my ($place, $from, $to, @want) = @_;
	my %tree = %made_up;

	die "not in it: $from\n" unless $tree{$place} =~ s/\Q$from\E/$to/;
	look({ 'lib/a.c' => $tree{c} }, { 'b.cmake' => $tree{cmake} },
	     $tree{text});
	my @wrong = what_is_wrong();
	my $got = join "\n", @wrong;
	my $fits = @want == @wrong &&
		   !grep { index($got, $_) < 0 } @want;

	return $good++ if $fits;
	print "$place: $from -> $to: $got\n    and not: @want\n";
	$bad++;
}

sub test_itself
{
	my $line = "\tlwstp_log(LLL_ERR, \"%s: it failed\\n\", __func__);\n";

	changed('c', 'one', 'one');
	# how it is wrapped makes no difference
	changed('c', "not %d \"\n\t\t  \"to", 'not %d to');
	changed('c', 'stale: ', "sta\"\n\"le: ");
	changed('text', 'options->n is <n>', "options->n\n  is <n>");
	# a line more, of each kind
	changed('c', "\tg(n", "$line\tg(n",
		'lib/a.c:16: no entry (ERR): %s: it failed');
	changed('c', '"full"', '"empty"', 'no entry (WARN, QUEUE_FULL): ' .
		'the queue is empty', 'nothing says: the queue is full');
	changed('c', 'options->n', 'options->m',
		'no entry (ERR, ARGS): options->m is %d',
		'nothing says: options->n is <n>',
		'nothing says: lws_threadpool_create: options->n is <n>',
		'no entry (ERR): %s: %s');
	changed('c', 'no lwsl_err() here', 'or this',
		'lib/a.c:16: not in the document: or this');
	changed('cmake', 'no "', 'none of "',
		'b.cmake:3: no entry (CMake warning): there is none of %s',
		'nothing says: there is no <thing>');
	changed('cmake', 'if(A)', 'message(FATAL_ERROR "more")',
		'b.cmake:2: no entry (CMake error): more');
	changed('c', 'it is not so', 'it is', 'no entry (compiler error): it ' .
		'is', 'nothing says: it is not so');
	changed('cmake', 'fail("', 'set(a_NOT_FOUND_MESSAGE "more")fail("',
		'b.cmake:6: no entry (CMake error): more');
	changed('cmake', '"${B} failed"', '${B}',
		'what it says is no string', 'nothing says: me: <what>');
	# a line less
	changed('c', "\tlwstp_log(LLL_INFO", "\tg(LLL_INFO",
		'README.troubleshooting.md:7: nothing says: <function>: stale',
		'no such line: lws_threadpool_g');
	# other words at a place, in either
	changed('c', '"more"', '"two"', 'no entry with two: %s: n is');
	changed('text', '<one or more>', 'three', 'no entry (ERR): %s: n is',
		'nothing says: lws_threadpool_f: n is <n>, not 1 to "three"');
	changed('text', 'lws_threadpool_f: n', 'lws_threadpool_h: n',
		'no entry (ERR): %s: n is', 'nothing says: lws_threadpool_h');
	# levels and reasons
	changed('c', 'LLL_INFO', 'LLL_WARN',
		':7: (INFO), and not (WARN) as lib/a.c:13',
		'no entry (WARN): %s: stale', 'no such line');
	changed('text', 'QUEUE_FULL', 'MEMORY', '(WARN, MEMORY), and not ' .
		'(WARN, QUEUE_FULL)', 'no entry (WARN, QUEUE_FULL)');
	changed('text', 'ERR or WARN', 'ERR',
		'(ERR), and not (ERR, WARN)', 'no entry (ERR, WARN)');
	# another way to log, and formats that cannot be read
	changed('c', 'g(n, "no', 'lwsl_err("no',
		'lib/a.c:16: logs by lwsl_err(), and not by lwstp_log()');
	changed('c', 'lwstp_log(LLL_ERR, "%s: %s\n"', 'lwstp_log(LLL_ERR, f',
		'its format is no string',
		'nothing says: lws_threadpool_create: options->n');
	changed('c', 'LLL_INFO', 'level', 'what level is level?',
		'(INFO), and not ()', 'no entry ()', 'no such line');
	changed('c', '__func__, n, 1', 'n, 1', '%s has no argument',
		'nothing says: lws_threadpool_f: n is',
		'no entry (ERR): %s: n is');
	# entries that say nothing, or twice
	changed('text', "\n  What it means, and what to do about it.\n", '',
		'README.troubleshooting.md:3: says nothing of it');
	changed('text', 'there is no <thing>` (CMake warning)',
		'there is no <thing>` (CMake warning) or ' .
		'`there is no <thing>` (CMake warning)',
		'twice: there is no <thing>');
	changed('text', 'stale: 0x12', 'gone: 0x12', 'no such line: lws_th');

	print "self-test: $good as they should be, $bad not\n";

	return $bad ? 1 : 0;
}

1;
