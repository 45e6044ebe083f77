# The texts of lib/ and of our CMake files that a user may get to see: see check
#
# A message is { where, levels, reason, text, words, pattern, exact, seen,
# is_part }.  Its entry in the document matches `exact`, a line of a log that it
# makes matches `seen`, and each of `words` is in one of its entries.  If it
# is_part it is put into another one.
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;

my $placeholder = qr/<[^<>]+>/;
my @wrong;

sub wrong
{
	push @wrong, join '', @_;
}

# What was wrong so far; it is forgotten then
sub what_is_wrong
{
	return splice @wrong;
}

# --- a format as a pattern ----------------------------------------------------

# What may stand for a conversion, other than a placeholder.  An argument is a
# list of tokens; $texts are patterns of what a variable `text` may hold.
sub stands_for
{
	my ($type, $arg, $function, $texts) = @_;
	my @words = map { $_->{text} } @$arg;
	my @can = map { quotemeta(substr $_, 1, -1) } grep { /^"/ } @words;

	push @can, quotemeta $function if "@words" eq '__func__';
	push @can, 'lws_threadpool_\w+' if "@words" =~ /^(?:me|caller)$/;
	push @can, @$texts if "@words" eq 'text';
	push @can, '-?[0-9]+' if $type =~ /[diux]$/;

	return join '|', $placeholder, @can;
}

# The arguments of a call, split at its commas: from the token after its ( on.
# A macro that gives three of them is written out.
sub arguments
{
	my ($tokens, $at) = @_;
	my ($depth, @args) = (0, []);

	for (; $depth || $tokens->[$at]{text} ne ')'; $at++) {
		my $t = $tokens->[$at];

		die "no ) to a (\n" if $at == $#$tokens;
		$depth++ if $t->{text} eq '(';
		$depth-- if $t->{text} eq ')';
		if (!$depth && $t->{text} eq ',') {
			push @args, [];
		} else {
			push @{$args[-1]}, $t;
		}
	}

	return map {
		my $arg = $_;

		@$arg && $arg->[0]{text} eq 'LWSTP_WHY' ?
			($arg, c_tokens('a ? ": " : ""'),
			 c_tokens('a ? b : ""')) : $arg;
	} @args;
}

# A message: the pattern of its entry, and what must be in one besides.
sub message
{
	my ($format, $args, %more) = @_;
	my ($exact, $seen) = ('', '');
	my @args = @$args;
	my $plain = substr $format, 1, -1;

	$plain =~ s/\\n$//;
	$plain =~ s/\\(["\\])/$1/g;
	for my $piece (split /(%[-+ #0-9.]*[hlz]*[a-zA-Z%])/, $plain) {
		my $is_conversion = $piece =~ /^%./ && $piece ne '%%';
		my $arg = $is_conversion ? shift @args : undef;

		if (!$is_conversion) {
			$piece = '%' if $piece eq '%%';
			# a blank more or less is none to a reader
			my $text = join '\s+', map { quotemeta }
					split /\s+/, $piece, -1;

			$exact .= $text;
			$seen .= $text;
			next;
		}
		wrong("$more{where}: $piece has no argument") unless $arg;
		$exact .= '(?:' . stands_for($piece, $arg, $more{function},
					     $more{texts}) . ')';
		$seen .= '.*';
	}
	wrong("$more{where}: more arguments than its format has") if @args;

	# of several texts for one place each is in some entry
	my @words = grep { /[a-z]/i }
		map { $_->{text} =~ /^"(.*)"$/s ? $1 : () } map { @$_ } @$args;

	return { %more, text => $plain, words => \@words, pattern => $exact,
		 exact => qr/^$exact$/s, seen => qr/^$seen$/s };
}

# --- what lib/ says -----------------------------------------------------------

sub function_at
{
	my ($source, $at) = @_;

	for my $f (@{$source->{functions}}) {
		return $f->{name} if $at >= $f->{first} && $at <= $f->{last};
	}

	return '?';
}

# those that are not of lwstp_log(), or lwstpc_log() in lib/cluster/, which are
# the ones that ask lws
sub logs_otherwise
{
	my ($source, $at) = @_;
	my $name = $source->{tokens}[$at]{text};

	return if $name !~ /^(?:_?lws_log\w*|lwsl_\w+|v?[fd]?printf|f?put[sc]|
				putchar|fwrite|write|perror|v?syslog)$/x;
	return if $name =~ /^lwsl_(?:visible|context_get_cx)$/;
	return if $name eq '_lws_logv' && $source->{file} =~ m{(^|/)log\.c$};

	return $source->{tokens}[$at + 1]{text} eq '(';
}

# The texts of lws_snprintf(text, ...): they are refusals for a wrong option
sub option_texts
{
	my ($source, $option) = @_;
	my ($tokens, @found) = ($source->{tokens});

	for my $at (0 .. $#$tokens - 2) {
		next unless join(' ', map { $_->{text} }
				 @$tokens[$at .. $at + 2]) eq
				'lws_snprintf ( text';
		my (undef, undef, $format, @args) = arguments($tokens, $at + 2);

		push @found, message($format->[0]{text}, \@args,
			where => "$source->{file}:$tokens->[$at]{line}",
			function => '?', texts => [], is_part => 1, %$option);
		$format->[0]{known} = 1;
	}

	return @found;
}

# What tokens say of a refusal, if there is one: its level, reason and text
sub refusal
{
	my ($tokens, $at) = @_;
	my $last = $at + 6 < $#$tokens ? $at + 6 : $#$tokens;
	my $text = join ' ', map { $_->{text} } @$tokens[$at .. $last];

	return $text =~ /^LWSTP_REFUSED_\w+\ ,\ LWS_TP_REFUSED_(\w+)\ ,
			  \ LLL_(\w+)\ ,\ (".*"|text)/xs;
}

sub refusals
{
	my ($source) = @_;
	my ($tokens, @found) = ($source->{tokens});

	for my $at (0 .. $#$tokens) {
		my ($reason, $said, $text) = refusal($tokens, $at);
		my $where = "$source->{file}:$tokens->[$at]{line}";

		next unless defined $text && $text ne 'text';
		push @found, message($tokens->[$at + 6]{text}, [],
			where => $where, function => '?', texts => [],
			is_part => 1, levels => [$said], reason => $reason);
		$tokens->[$at + 6]{known} = 1;
	}

	return @found;
}

# what a refusal by the name of text is told as
sub option_refusal
{
	for my $source (@_) {
		for my $at (0 .. $#{$source->{tokens}}) {
			my ($reason, $said, $text) =
				refusal($source->{tokens}, $at);

			return { levels => [$said], reason => $reason }
				if defined $text && $text eq 'text';
		}
	}

	return { levels => ['ERR'], reason => 'ARGS' };
}

# lwstp_log() with the level of a refusal has that of any of them
sub levels_of
{
	my ($arg, $refusals, $where) = @_;
	my $text = join ' ', map { $_->{text} } @$arg;
	my %levels = map { $_ => 1 } map { @{$_->{levels}} } @$refusals;

	return [$1] if $text =~ /^LLL_(\w+)$/;
	return [sort keys %levels] if $text eq 'why -> level';
	wrong("$where: what level is $text?");

	return [];
}

# The level of a call, as tokens, and the arguments from the format on
sub logged
{
	my ($source, $at) = @_;
	my $tokens = $source->{tokens};
	my $name = $tokens->[$at]{text};

	return unless $tokens->[$at + 1]{text} eq '(';
	return arguments($tokens, $at + 2) if $name =~ /^lwstpc?_log$/;

	return;
}

sub lines
{
	my ($source, $texts, $refusals) = @_;
	my ($tokens, @found) = ($source->{tokens});

	for my $at (0 .. $#$tokens - 1) {
		my $where = "$source->{file}:$tokens->[$at]{line}";

		wrong("$where: logs by $tokens->[$at]{text}(), and not by ",
		      "lwstp_log()") if logs_otherwise($source, $at);
		my ($said, $format, @args) = logged($source, $at);

		next unless $said;
		next if $said->[0]{text} eq 'int';	# its declaration
		if (!$format || $format->[0]{text} !~ /^"/) {
			wrong("$where: its format is no string");
			next;
		}
		$format->[0]{known} = 1;
		next if $said->[0]{text} eq 'LLL_DEBUG';	# no user's
		push @found, message($format->[0]{text}, \@args,
			where => $where, texts => $texts,
			function => function_at($source, $at),
			levels => levels_of($said, $refusals, $where));
	}

	return @found;
}

# of the preprocessor
sub errors
{
	my ($source) = @_;
	my ($tokens, @found) = ($source->{tokens});

	for my $at (0 .. $#$tokens - 2) {
		next unless $tokens->[$at]{text} eq '#' &&
			    $tokens->[$at + 1]{text} eq 'error';
		push @found, message($tokens->[$at + 2]{text}, [],
			where => "$source->{file}:$tokens->[$at]{line}",
			function => '?', texts => [], is_part => 1,
			levels => ['compiler error']);
		$tokens->[$at + 2]{known} = 1;
	}

	return @found;
}

sub of_lib
{
	my @sources = @_;
	my @texts = map { option_texts($_, option_refusal(@sources)) } @sources;
	my @refusals = map { refusals($_) } @sources;
	my @patterns = map { $_->{pattern} } @texts;

	return @texts, @refusals,
	       map { errors($_), lines($_, \@patterns, [@texts, @refusals]) }
	       @sources;
}

# any other string of two words
sub other_strings
{
	my ($sources, $text) = @_;

	for my $source (@$sources) {
		next if $source->{file} =~ m{(^|/)metrics\.c$};
		for my $t (@{$source->{tokens}}) {
			next if $t->{known} || $t->{text} !~
					/^"(.*[[:alpha:]]\s+[[:alpha:]].*)"$/s;
			my $words = $1;

			wrong("$source->{file}:$t->{line}: not in the ",
			      "document: $words") if index($text, $words) < 0;
		}
	}
}

# --- what CMake says ----------------------------------------------------------

sub of_cmake
{
	my ($file, $text) = @_;
	my %levels = (FATAL_ERROR => 'CMake error', WARNING => 'CMake warning',
		      STATUS => 'CMake status');
	my ($prefix, @found) = ('');

	$text =~ s/^[ \t]*#.*//mg;
	# our own fail() is a message with its name before it
	$prefix = $1 if $text =~
		s/message\(FATAL_ERROR\s+"([^"]*)"\s+\$\{ARGN\}\)//;
	$text =~ s/function\(fail\)//;
	while ($text =~ /(?:\bmessage\(\s*(FATAL_ERROR|WARNING|STATUS)|
			  \b(fail)\(|_NOT_FOUND_MESSAGE)\s*(.)/xsg) {
		my ($said, $fails) = ($1 // 'FATAL_ERROR', $2);
		my $where = $file . ':' .
			(1 + (substr($text, 0, $-[0]) =~ tr/\n//));

		pos($text) = $-[3];
		if ($text !~ /\G((?:"(?:[^"\\]|\\.)*"\s*)+)\)/gc) {
			wrong("$where: what it says is no string");
			next;
		}
		my $words = join '', $1 =~ /"((?:[^"\\]|\\.)*)"/g;

		$words = ($fails ? $prefix : '') . $words;
		my @args = map { [] } $words =~ /(\$\{\w+\})/g;
		$words =~ s/%/%%/g;
		$words =~ s/\$\{\w+\}/%s/g;
		push @found, message("\"$words\"", \@args, where => $where,
			function => '?', texts => [],
			levels => [$levels{$said}]);
	}

	return @found;
}

1;
