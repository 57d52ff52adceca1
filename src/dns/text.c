// SPDX-License-Identifier: Apache-2.0
// \file
// Mnemonics. Sources: IANA DNS Parameters ("Resource Record (RR) TYPEs", "DNS CLASSes", "DNS RCODEs"), in the choice
// that CoreDNS 1.15.0 knows, so that logs and metrics carry the same words.
#include <clusterdns/record.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct word {
    uint16_t number;
    const char *text;
};

// Ascending, for the binary search.
static const struct word types[] = {
    {0, "None"},      {1, "A"},        {2, "NS"},          {3, "MD"},           {4, "MF"},      {5, "CNAME"},
    {6, "SOA"},       {7, "MB"},       {8, "MG"},          {9, "MR"},           {10, "NULL"},   {12, "PTR"},
    {13, "HINFO"},    {14, "MINFO"},   {15, "MX"},         {16, "TXT"},         {17, "RP"},     {18, "AFSDB"},
    {19, "X25"},      {20, "ISDN"},    {21, "RT"},         {23, "NSAP-PTR"},    {24, "SIG"},    {25, "KEY"},
    {26, "PX"},       {27, "GPOS"},    {28, "AAAA"},       {29, "LOC"},         {30, "NXT"},    {31, "EID"},
    {32, "NIMLOC"},   {33, "SRV"},     {34, "ATMA"},       {35, "NAPTR"},       {36, "KX"},     {37, "CERT"},
    {39, "DNAME"},    {41, "OPT"},     {42, "APL"},        {43, "DS"},          {44, "SSHFP"},  {45, "IPSECKEY"},
    {46, "RRSIG"},    {47, "NSEC"},    {48, "DNSKEY"},     {49, "DHCID"},       {50, "NSEC3"},  {51, "NSEC3PARAM"},
    {52, "TLSA"},     {53, "SMIMEA"},  {55, "HIP"},        {56, "NINFO"},       {57, "RKEY"},   {58, "TALINK"},
    {59, "CDS"},      {60, "CDNSKEY"}, {61, "OPENPGPKEY"}, {62, "CSYNC"},       {63, "ZONEMD"}, {64, "SVCB"},
    {65, "HTTPS"},    {99, "SPF"},     {100, "UINFO"},     {101, "UID"},        {102, "GID"},   {103, "UNSPEC"},
    {104, "NID"},     {105, "L32"},    {106, "L64"},       {107, "LP"},         {108, "EUI48"}, {109, "EUI64"},
    {128, "NXNAME"},  {249, "TKEY"},   {250, "TSIG"},      {251, "IXFR"},       {252, "AXFR"},  {253, "MAILB"},
    {254, "MAILA"},   {255, "ANY"},    {256, "URI"},       {257, "CAA"},        {258, "AVC"},   {260, "AMTRELAY"},
    {261, "RESINFO"}, {32768, "TA"},   {32769, "DLV"},     {65535, "Reserved"},
};

static const struct word classes[] = {
    {1, "IN"}, {2, "CS"}, {3, "CH"}, {4, "HS"}, {254, "NONE"}, {255, "ANY"},
};

// 16 is BADVERS in a message (RFC 6891 §9) and BADSIG in a TSIG record, which is what CoreDNS calls it everywhere.
static const struct word rcodes[] = {
    {0, "NOERROR"},  {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},  {4, "NOTIMP"},
    {5, "REFUSED"},  {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},   {9, "NOTAUTH"},
    {10, "NOTZONE"}, {11, "DSOTYPENI"}, {16, "BADVERS"}, {17, "BADKEY"},   {18, "BADTIME"},
    {19, "BADMODE"}, {20, "BADNAME"},   {21, "BADALG"},  {22, "BADTRUNC"}, {23, "BADCOOKIE"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int by_number(const void *key, const void *element)
{
    return *(const uint16_t *)key - ((const struct word *)element)->number;
}

static const char *find_text(const struct word *words, size_t n, uint16_t number, const char *prefix, char buf[16])
{
    const struct word *w = bsearch(&number, words, n, sizeof *words, by_number);
    if (w != NULL)
        return w->text;
    snprintf(buf, 16, "%s%u", prefix, number);
    return buf;
}

// A mnemonic, or `prefix` and a decimal number of at most 16 bits (RFC 3597 §5); -1 for anything else.
static int find_number(const struct word *words, size_t n, const char *text, const char *prefix)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(words[i].text, text) == 0)
            return words[i].number;
    size_t skip = strlen(prefix);
    if (strncasecmp(text, prefix, skip) != 0 || text[skip] == '\0' || strlen(text + skip) > 5)
        return -1;
    int value = 0;
    for (text += skip; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
    }
    return value <= UINT16_MAX ? value : -1;
}

const char *rr_type_text(uint16_t type, char buf[16])
{
    return find_text(types, COUNT(types), type, "TYPE", buf);
}

const char *rr_class_text(uint16_t class_, char buf[16])
{
    return find_text(classes, COUNT(classes), class_, "CLASS", buf);
}

const char *rcode_text(uint16_t rcode, char buf[16])
{
    return find_text(rcodes, COUNT(rcodes), rcode, "RCODE", buf);
}

int rr_type_from_text(const char *text)
{
    return find_number(types, COUNT(types), text, "TYPE");
}

int rr_class_from_text(const char *text)
{
    return find_number(classes, COUNT(classes), text, "CLASS");
}

int rcode_from_text(const char *text)
{
    if (strcasecmp(text, "BADSIG") == 0)
        return RCODE_BADVERS;
    return find_number(rcodes, COUNT(rcodes), text, "RCODE");
}
